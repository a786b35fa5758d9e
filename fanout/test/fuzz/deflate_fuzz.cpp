// permessage-deflate: compressed messages of clients, their offers; what is compressed comes back.
#include "fuzz.h"

#include "wire/deflate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oasync;
  const std::string_view input = AsText(data, size);
  constexpr size_t kLimit = 65536;
  static Inflater inflater;
  std::string out;
  const Inflater::Outcome outcome = inflater.Inflate(input, kLimit, &out);
  PROMISE(out.size() <= kLimit + 1);
  if (outcome == Inflater::Outcome::kOk) PROMISE(out.size() <= kLimit);
  // Nothing of this message is left for the next one.
  std::string again;
  PROMISE(inflater.Inflate(input, kLimit, &again) == outcome && again == out);

  (void)IsDeflateOfferAcceptable(input);

  static Deflater deflater(1);
  Frame frame(true);
  frame.body()->append(input);
  frame.Seal();
  if (const FrameRef compressed = deflater.Compress(frame)) {
    PROMISE(compressed->size() < frame.size());
    PROMISE(inflater.Inflate(compressed->view(), size, &again) == Inflater::Outcome::kOk && again == input);
  }
  return 0;
}
