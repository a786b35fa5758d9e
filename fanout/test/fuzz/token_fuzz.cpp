// Tokens: raw ones are refused without harm; of claims that were signed with a good key, only what keeps to the rules
// is granted. The first byte chooses: even, the rest is a token; odd, the rest is the claims of one.
#include "fuzz.h"

#include "../unit/fakes.h"

namespace oasync {
namespace {

constexpr int64_t kNow = 1700000000;

void CheckResult(const TokenResult& result) {
  PROMISE((result.fault == TokenFault::kNone) == (result.grant != nullptr));
  PROMISE(TokenFaultName(result.fault) != nullptr);
  if (!result.grant) return;
  PROMISE(!result.grant->subject.empty() && !result.grant->token_id.empty());
  PROMISE(result.grant->expires_at > kNow);
  PROMISE(result.grant->expires_at <= kNow + 900 + 30);
  PROMISE(result.grant->scopes.Names().size() <= 256);
}

}  // namespace
}  // namespace oasync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oasync;
  static const TokenVerifier verifier(TestKeyring(), {"openagents", "oa-sync"});
  if (size == 0) return 0;
  const std::string_view input = AsText(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    const TokenResult result = verifier.Verify(input, kNow);
    CheckResult(result);
    return 0;
  }
  const Json claims = Json::parse(input, nullptr, false);
  if (claims.is_discarded()) return 0;
  std::string text;
  try {
    text = SignToken(claims);
  } catch (const Json::exception&) {
    return 0;  // text that is no UTF-8 cannot be dumped
  }
  CheckResult(verifier.Verify(text, kNow));
  // One byte of the signature wrong: never granted.
  text[text.size() - 10] = text[text.size() - 10] == 'A' ? 'B' : 'A';
  PROMISE(!verifier.Verify(text, kNow).grant);
  return 0;
}
