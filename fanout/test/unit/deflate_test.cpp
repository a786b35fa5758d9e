// permessage-deflate: offers, what is compressed, and what clients may send.
#include "wire/deflate.h"

#include <gtest/gtest.h>

#include <string>

namespace oasync {
namespace {

FrameRef Sealed(const std::string& payload, bool binary = false) {
  auto frame = std::make_shared<Frame>(binary);
  frame->body()->append(payload);
  frame->updates = 3;
  frame->oldest_commit_us = 4;
  frame->through_watermark = 5;
  frame->Seal();
  return frame;
}

TEST(Deflate, OffersThatCanBeServed) {
  const std::string several =
      "permessage-deflate; client_no_context_takeover; client_max_window_bits, "
      "permessage-deflate; client_no_context_takeover, permessage-deflate";
  for (const std::string& offer :
       {std::string("permessage-deflate"), std::string("permessage-deflate; client_max_window_bits"),
        std::string("permessage-deflate;client_max_window_bits=10 ; server_no_context_takeover"),
        std::string("x-webkit, permessage-deflate; server_max_window_bits=15"), several}) {
    EXPECT_TRUE(IsDeflateOfferAcceptable(offer)) << offer;
  }
}

TEST(Deflate, OffersThatAreDeclined) {
  for (const char* offer :
       {"", " ", ",", ";", "deflate", "Permessage-Deflate", "permessage-deflat", "permessage-deflate2; x",
        "x; permessage-deflate", "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate;;",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate, permessage-deflate; client_max_window_bits"}) {
    EXPECT_FALSE(IsDeflateOfferAcceptable(offer)) << offer;
  }
}

TEST(Deflate, ThereAndBackEachMessageByItself) {
  Deflater deflater(6);
  Inflater inflater;
  for (const size_t size : {100u, 5000u, 300000u, 5000u}) {
    std::string text;
    for (size_t i = 0; text.size() < size; ++i) text += "{\"n\":" + std::to_string(i * i) + "}";
    const FrameRef plain = Sealed(text, size == 300000u);
    const FrameRef compressed = deflater.Compress(*plain);
    ASSERT_TRUE(compressed) << size;
    EXPECT_LT(compressed->size(), plain->size());
    EXPECT_TRUE(compressed->compressed());
    EXPECT_FALSE(plain->compressed());
    EXPECT_EQ(static_cast<uint8_t>(compressed->wire()[0]), size == 300000u ? 0xc2 : 0xc1);
    EXPECT_EQ(compressed->effort(), plain->effort());
    EXPECT_EQ(compressed->updates, 3u);
    EXPECT_EQ(compressed->oldest_commit_us, 4);
    EXPECT_EQ(compressed->through_watermark, 5u);
    std::string back = "what was there before";
    ASSERT_EQ(inflater.Inflate(compressed->view(), text.size(), &back), Inflater::Outcome::kOk);
    EXPECT_EQ(back, text);
    EXPECT_EQ(inflater.Inflate(compressed->view(), text.size() - 1, &back), Inflater::Outcome::kTooBig);
  }
}

TEST(Deflate, WhatGetsNoSmallerStays) {
  Deflater deflater(9);
  EXPECT_FALSE(deflater.Compress(*Sealed("")));
  EXPECT_FALSE(deflater.Compress(*Sealed("abc")));
  std::string noise;
  uint32_t state = 1;
  for (int i = 0; i < 100000; ++i) noise.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  EXPECT_FALSE(deflater.Compress(*Sealed(noise, true)));
  EXPECT_TRUE(deflater.Compress(*Sealed(std::string(1000, 'a'))));  // and it works afterwards
}

TEST(Deflate, ABombIsCutOff) {
  constexpr size_t kBombBytes = 8'000'000;
  Deflater deflater(9);
  const FrameRef bomb = deflater.Compress(*Sealed(std::string(kBombBytes, 'a')));
  ASSERT_TRUE(bomb);
  EXPECT_LT(bomb->size(), 100'000u);
  Inflater inflater;
  std::string out;
  EXPECT_EQ(inflater.Inflate(bomb->view(), 65536, &out), Inflater::Outcome::kTooBig);
  EXPECT_LE(out.capacity(), 4u * 65536);
}

TEST(Deflate, WhatIsNotDeflated) {
  Inflater inflater;
  std::string out;
  EXPECT_EQ(inflater.Inflate("\xff\xff\xff\xff", 100, &out), Inflater::Outcome::kMalformed);
  EXPECT_EQ(inflater.Inflate("hello", 100, &out), Inflater::Outcome::kMalformed);
  // RFC 7692, 7.2.3.1: "Hello", and the empty message of 7.2.3.6.
  EXPECT_EQ(inflater.Inflate("\xf2\x48\xcd\xc9\xc9\x07", 100, &out), Inflater::Outcome::kMalformed) << "cut off";
  EXPECT_EQ(inflater.Inflate(std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), 100, &out), Inflater::Outcome::kOk);
  EXPECT_EQ(out, "Hello");
  EXPECT_EQ(inflater.Inflate(std::string(1, '\0'), 100, &out), Inflater::Outcome::kOk);
  EXPECT_EQ(out, "");
  // 7.2.3.4: a block with BFINAL set; 7.2.3.5: two blocks.
  EXPECT_EQ(inflater.Inflate(std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8), 100, &out), Inflater::Outcome::kOk);
  EXPECT_EQ(out, "Hello");
  EXPECT_EQ(inflater.Inflate(std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13), 100, &out),
            Inflater::Outcome::kOk);
  EXPECT_EQ(out, "Hello");
  // 7.2.3.2: the same word again by a reference to the message before, which is not kept.
  EXPECT_EQ(inflater.Inflate(std::string("\xf2\x00\x11\x00\x00", 5), 100, &out), Inflater::Outcome::kMalformed);
}

}  // namespace
}  // namespace oasync
