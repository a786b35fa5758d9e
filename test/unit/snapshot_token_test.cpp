#include "snapshot_token.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace oasync {
namespace {

SnapshotToken Example() {
  SnapshotToken token;
  token.topic = "run:42:events";
  token.epoch = 1795000000;
  token.watermark = 9007199254740993;
  token.source = DocumentSource::kPublication;
  token.publication_id = 100;
  token.published_at = -12345678901234;
  token.position_count = 2;
  token.position[0] = "42";
  token.position[1] = "with \xc3\xa4, \" and \n";
  return token;
}

std::string Written(const SnapshotToken& token) {
  Bytes out;
  EXPECT_TRUE(AppendToken(out, token));
  std::string text(out.view());
  out.Free();
  return text;
}

std::string Encoded(std::string_view bytes) {
  Bytes out;
  AppendBase64Url(out, bytes);
  std::string text(out.view());
  out.Free();
  return text;
}

bool Decodes(std::string_view text, std::string* bytes) {
  Bytes out;
  const bool ok = DecodeBase64Url(out, text);
  if (ok) *bytes = std::string(out.view());
  out.Free();
  return ok;
}

// A token with a body of our own and the checksum that belongs to it.
std::string Forged(std::string_view body, char version = 1) {
  uint32_t sum = 2166136261u;
  for (const char c : body) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
  std::string whole(1, version);
  for (int shift = 0; shift < 32; shift += 8) whole += static_cast<char>(sum >> shift);
  return Encoded(whole + std::string(body));
}

const char* Wrong(std::string_view text) {
  Bytes scratch;
  SnapshotToken token;
  const char* wrong = ParseToken(text, scratch, token);
  scratch.Free();
  return wrong;
}

TEST(SnapshotToken, ComesBackAsItWas) {
  const SnapshotToken token = Example();
  const std::string text = Written(token);
  EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  Bytes scratch;
  SnapshotToken read;
  ASSERT_EQ(ParseToken(text, scratch, read), nullptr);
  EXPECT_EQ(read.topic, token.topic);
  EXPECT_EQ(read.epoch, token.epoch);
  EXPECT_EQ(read.watermark, token.watermark);
  EXPECT_EQ(read.source, token.source);
  EXPECT_EQ(read.publication_id, token.publication_id);
  EXPECT_EQ(read.published_at, token.published_at);
  EXPECT_EQ(read.by_key, false);
  ASSERT_EQ(read.position_count, 2);
  EXPECT_EQ(read.position[0], token.position[0]);
  EXPECT_EQ(read.position[1], token.position[1]);
  scratch.Free();
}

TEST(SnapshotToken, PublicationsMayHaveAnyId) {
  for (const int32_t id : {INT32_MIN, -2, -1, 0, 1, INT32_MAX}) {
    SnapshotToken token = Example();
    token.publication_id = id;
    const std::string text = Written(token);
    Bytes scratch;
    SnapshotToken read;
    ASSERT_EQ(ParseToken(text, scratch, read), nullptr);
    EXPECT_EQ(read.publication_id, id);
    scratch.Free();
  }
}

TEST(SnapshotToken, LongPositionsAreRefusedWhenWritten) {
  const std::string long_value(kMaxTokenBytes, 'x');
  SnapshotToken token = Example();
  token.position[1] = long_value;
  Bytes out;
  EXPECT_FALSE(AppendToken(out, token));
  EXPECT_EQ(out.len, 0u);
  const std::string fitting(kMaxTokenBytes / 4 * 3 - 100, 'x');
  token.position[1] = fitting;
  EXPECT_EQ(Wrong(Written(token)), nullptr);
}

TEST(SnapshotToken, DamageIsFound) {
  const std::string text = Written(Example());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : std::string("Az09-_=. \0", 10)) {
      if (text[i] == c) continue;
      std::string damaged = text;
      damaged[i] = c;
      EXPECT_NE(Wrong(damaged), nullptr) << i << c;
    }
    EXPECT_NE(Wrong(text.substr(0, i)), nullptr);
    EXPECT_NE(Wrong(text.substr(i + 1)), nullptr);
  }
  EXPECT_NE(Wrong(text + "A"), nullptr);
  EXPECT_NE(Wrong(text + "AAAA"), nullptr);
  EXPECT_STREQ(Wrong(std::string(kMaxTokenBytes + 1, 'A')), "it is too long");
}

TEST(SnapshotToken, ForgedTokensAreWellFormedOrRefused) {
  using std::string_literals::operator""s;
  EXPECT_STREQ(Wrong(Forged("", 2)), "it is of another version");
  // topic "t", epoch, watermark, source, id, published_at, by_key, count
  EXPECT_EQ(Wrong(Forged("\1t\1\1\1\0\0\0\0"s)), nullptr);
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\0\0x"s)), nullptr) << "more than a token";
  EXPECT_NE(Wrong(Forged("\1 \1\1\1\0\0\0\0"s)), nullptr) << "no topic";
  EXPECT_NE(Wrong(Forged("\0\1\1\1\0\0\0\0"s)), nullptr) << "an empty topic";
  EXPECT_NE(Wrong(Forged("\1t\1\1\0\0\0\0\0"s)), nullptr) << "no source";
  EXPECT_NE(Wrong(Forged("\1t\1\1\4\0\0\0\0"s)), nullptr) << "an unknown source";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\2\0"s)), nullptr) << "by_key is yes or no";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\0\x21"s)), nullptr) << "too many values";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\0\2\1x"s)), nullptr) << "fewer values than it says";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\0\1\2x\0"s)), nullptr) << "a zero byte";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\0\0\1\2\1x\1y"s)), nullptr) << "two keys";
  EXPECT_NE(Wrong(Forged("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"s)), nullptr) << "a length beyond all";
  EXPECT_NE(Wrong(Forged("\1t\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\0\0\0\0"s)), nullptr)
      << "an epoch beyond bigint";
  EXPECT_NE(Wrong(Forged("\1t\xff\xff\xff\xff\xff\xff\xff\xff\xff\2\1\1\0\0\0\0"s)), nullptr) << "and beyond 64 bits";
  EXPECT_NE(Wrong(Forged("\1t\x81\0\1\1\0\0\0\0"s)), nullptr) << "a number that is longer than it has to be";
  EXPECT_NE(Wrong(Forged("\1t\1\1\1\xff\xff\xff\xff\x1f\0\0\0"s)), nullptr) << "an id beyond integer";
}

TEST(SnapshotToken, RandomBodiesDoNotHarm) {
  std::mt19937 random(7);
  for (int i = 0; i < 200000; ++i) {
    std::string body(random() % 40, '\0');
    for (char& c : body) c = static_cast<char>(random() % 3 == 0 ? random() % 4 : random());
    Wrong(Forged(body));
  }
}

TEST(Base64Url, BothWays) {
  for (size_t n = 0; n < 20; ++n) {
    std::string bytes;
    for (size_t i = 0; i < n; ++i) bytes += static_cast<char>(i * 37 + n * 101);
    std::string back = "?";
    ASSERT_TRUE(Decodes(Encoded(bytes), &back));
    EXPECT_EQ(back, bytes);
  }
  EXPECT_EQ(Encoded("\xff\xef\xbe"), "_---");
  std::string ignored;
  for (const char* bad : {"A", "AAAAA", "AB", "AAB", "AA=", "AA==", "AA+A", "AA/A", "A A", "\xc3\xa4"}) {
    EXPECT_FALSE(Decodes(bad, &ignored)) << bad;
  }
}

}  // namespace
}  // namespace oasync
