#include "bytes.h"

#include <gtest/gtest.h>

#include <string>

#include "bytes_malloc.h"

namespace oasync {
namespace {

TEST(Bytes, GrowsByWhatIsAppended) {
  Bytes bytes;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string part(static_cast<size_t>(i % 37), static_cast<char>('a' + i % 26));
    bytes.Append(part);
    bytes.Append('.');
    expected += part + '.';
    ASSERT_LE(bytes.len, bytes.cap);
  }
  EXPECT_EQ(bytes.view(), expected);
  bytes.Free();
}

TEST(Bytes, TakesOneLargePart) {
  const std::string large(1 << 20, 'x');
  Bytes bytes;
  bytes.Append('a');
  bytes.Append(large);
  EXPECT_EQ(bytes.view(), "a" + large);
  bytes.Free();
}

TEST(Bytes, AppendsNothingWithoutMemory) {
  const int before = LiveBlocks();
  Bytes bytes;
  bytes.Append("");
  bytes.Append(nullptr, 0);
  EXPECT_EQ(bytes.data, nullptr);
  EXPECT_EQ(LiveBlocks(), before);
}

TEST(Bytes, HoldsZeroBytes) {
  Bytes bytes;
  bytes.Append(std::string_view("a\0b", 3));
  EXPECT_EQ(bytes.view(), std::string_view("a\0b", 3));
  bytes.Free();
}

TEST(Bytes, ReserveKeepsWhatIsThere) {
  Bytes bytes;
  bytes.Append("kept");
  bytes.Reserve(100000);
  EXPECT_GE(bytes.cap - bytes.len, 100000u);
  EXPECT_EQ(bytes.view(), "kept");
  bytes.Free();
}

TEST(Bytes, ClearKeepsMemoryAndFreeGivesItBack) {
  const int before = LiveBlocks();
  Bytes bytes;
  bytes.Append("text");
  const char* data = bytes.data;
  bytes.Clear();
  EXPECT_EQ(bytes.len, 0u);
  bytes.Append("more");
  EXPECT_EQ(bytes.data, data);
  EXPECT_EQ(bytes.view(), "more");
  EXPECT_EQ(LiveBlocks(), before + 1);
  bytes.Free();
  EXPECT_EQ(LiveBlocks(), before);
  EXPECT_EQ(bytes.data, nullptr);
  EXPECT_EQ(bytes.cap, 0u);
  bytes.Free();
  EXPECT_EQ(LiveBlocks(), before);
}

}  // namespace
}  // namespace oasync
