#include "canonical_json.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bytes_malloc.h"

namespace oasync {
namespace {

using nlohmann::json;

const json& Vectors() {
  static const json vectors = json::parse(std::ifstream(OA_SYNC_VECTORS));
  return vectors;
}

// Copies the input to a block of exactly its size, so that a sanitizer sees a read past its end.
JsonStatus Canonicalize(const std::string& input, std::string* canonical) {
  const std::vector<char> exact(input.begin(), input.end());
  Bytes out;
  out.Append("before");
  const JsonStatus status = AppendCanonicalJson(out, {exact.data(), exact.size()});
  EXPECT_EQ(out.view().substr(0, 6), "before");
  *canonical = out.view().substr(6);
  out.Free();
  return status;
}

std::string Sha256Hex(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

TEST(CanonicalJson, VectorsAreCanonicalized) {
  ASSERT_GE(Vectors()["vectors"].size(), 50u);
  for (const json& vector : Vectors()["vectors"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::string canonical;
    EXPECT_EQ(Canonicalize(vector["input"], &canonical), JsonStatus::kOk);
    EXPECT_EQ(canonical, vector["canonical"].get<std::string>());
    EXPECT_EQ(Sha256Hex(canonical), vector["sha256"].get<std::string>());
  }
}

TEST(CanonicalJson, CanonicalFormStaysAsItIs) {
  for (const json& vector : Vectors()["vectors"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::string again;
    EXPECT_EQ(Canonicalize(vector["canonical"], &again), JsonStatus::kOk);
    EXPECT_EQ(again, vector["canonical"].get<std::string>());
  }
}

TEST(CanonicalJson, InvalidInputIsRefusedAndLeavesNothing) {
  ASSERT_GE(Vectors()["invalid"].size(), 30u);
  for (const json& vector : Vectors()["invalid"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::string canonical;
    EXPECT_EQ(Canonicalize(vector["input"], &canonical), JsonStatus::kInvalid);
    EXPECT_EQ(canonical, "");
  }
}

TEST(CanonicalJson, NestingBeyondTheLimitIsRefused) {
  ASSERT_GE(Vectors()["too_deep"].size(), 2u);
  for (const json& vector : Vectors()["too_deep"]) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::string canonical;
    EXPECT_EQ(Canonicalize(vector["input"], &canonical), JsonStatus::kTooDeep);
    EXPECT_EQ(canonical, "");
  }
  std::string canonical;
  const std::string deepest = std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']');
  EXPECT_EQ(Canonicalize(deepest, &canonical), JsonStatus::kOk);
  EXPECT_EQ(canonical, deepest);
  EXPECT_EQ(Canonicalize("[" + deepest + "]", &canonical), JsonStatus::kTooDeep);
}

TEST(CanonicalJson, EveryCutOfADocumentIsRefused) {
  const std::string whole = R"({"a":[1.5e+3,true,null,"x\u00e4\ud83d\ude00"],"b":{"c":"\\"}})";
  std::string canonical;
  ASSERT_EQ(Canonicalize(whole, &canonical), JsonStatus::kOk);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Canonicalize(whole.substr(0, size), &canonical), JsonStatus::kInvalid) << whole.substr(0, size);
  }
}

TEST(CanonicalJson, ShuffledMembersGiveOneText) {
  std::mt19937 random(42);  // NOLINT(cert-msc51-cpp): the same every time
  std::vector<std::string> members;
  members.reserve(60);
  for (int i = 0; i < 60; ++i) members.push_back("\"k" + std::to_string(i * 7919 % 1000) + "\":" + std::to_string(i));
  std::string first;
  for (int round = 0; round < 50; ++round) {
    std::shuffle(members.begin(), members.end(), random);
    std::string text = "{";
    for (const std::string& member : members) text += (text.size() > 1 ? "," : "") + member;
    std::string canonical;
    ASSERT_EQ(Canonicalize(text + "}", &canonical), JsonStatus::kOk);
    if (round == 0) first = canonical;
    ASSERT_EQ(canonical, first);
  }
  EXPECT_EQ(first.substr(0, 8), "{\"k0\":0,");
}

TEST(CanonicalJson, RandomBytesNeverConfuseIt) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same every time
  const std::string alphabet = R"({}[]",:\u0aAdD8tfn1-.eE )";
  int valid = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string text;
    for (unsigned n = random() % 12; n > 0; --n) text += alphabet[random() % alphabet.size()];
    std::string canonical;
    if (Canonicalize(text, &canonical) != JsonStatus::kOk) continue;
    ++valid;
    std::string again;
    ASSERT_EQ(Canonicalize(canonical, &again), JsonStatus::kOk) << text;
    ASSERT_EQ(again, canonical) << text;
  }
  EXPECT_GT(valid, 1000);
}

TEST(CanonicalJson, KeepsNoMemory) {
  const int before = LiveBlocks();
  std::string canonical;
  EXPECT_EQ(Canonicalize(R"({"b":{"d":1,"c":2},"a":3})", &canonical), JsonStatus::kOk);
  EXPECT_EQ(canonical, R"({"a":3,"b":{"c":2,"d":1}})");
  EXPECT_EQ(Canonicalize(R"({"b":{"d":1,"c":2},"a":)", &canonical), JsonStatus::kInvalid);
  EXPECT_EQ(LiveBlocks(), before);
}

std::string Quoted(std::string_view text) {
  Bytes out;
  AppendJsonString(out, text);
  std::string quoted(out.view());
  out.Free();
  return quoted;
}

TEST(AppendJsonString, EscapesWhatJsonDemandsAndNothingElse) {
  for (int c = 0; c < 256; ++c) {
    const std::string text(1, static_cast<char>(c));
    std::string expected = text;
    if (c < 0x20) {
      static const char kHex[] = "0123456789abcdef";
      expected = std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
    }
    if (c == '\b') expected = "\\b";
    if (c == '\t') expected = "\\t";
    if (c == '\n') expected = "\\n";
    if (c == '\f') expected = "\\f";
    if (c == '\r') expected = "\\r";
    if (c == '"') expected = "\\\"";
    if (c == '\\') expected = "\\\\";
    EXPECT_EQ(Quoted(text), "\"" + expected + "\"") << c;
  }
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("a\nb\"c"), "\"a\\nb\\\"c\"");
}

TEST(CompareCanonicalKeys, OrdersByCodePoint) {
  // Each is smaller than the next one.
  const std::vector<std::string> ordered = {
      "\"\"",        "\"\\u0000\"", "\"\\u0000a\"", "\"\\b\"",        "\"\\t\"",       "\"\\n\"",    "\"\\f\"",
      "\"\\r\"",     "\"\\u001f\"", "\" \"",        "\"\\\"\"",       "\"1\"",         "\"A\"",      "\"AA\"",
      "\"\\\\\"",    "\"a\"",       "\"\x7f\"",     "\"\u0080\"",     "\"\u20ac\"",    "\"\ud7ff\"", "\"\\ud800\"",
      "\"\\udfff\"", "\"\ue000\"",  "\"\uffff\"",   "\"\U00010000\"", "\"\U0010ffff\""};
  for (size_t i = 0; i < ordered.size(); ++i) {
    for (size_t j = 0; j < ordered.size(); ++j) {
      const int expected = i == j ? 0 : i < j ? -1 : 1;
      EXPECT_EQ(CompareCanonicalKeys(ordered[i], ordered[j]), expected) << ordered[i] << " " << ordered[j];
    }
  }
}

}  // namespace
}  // namespace oasync
