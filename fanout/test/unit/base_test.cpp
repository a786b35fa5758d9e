// Text, time and hand-over pieces.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/base64.h"
#include "base/json_text.h"
#include "base/mailbox.h"
#include "base/percent.h"
#include "base/process_use.h"
#include "base/timing_wheel.h"
#include "base/token_bucket.h"
#include "base/utf8.h"

namespace oasync {
namespace {

TEST(ProcessUse, CountsDescriptorsAlsoWhenNoneIsLeft) {
  const ProcessUse before = ReadProcessUse();
  EXPECT_GT(before.open_descriptors, 2);
  EXPECT_GT(before.resident_bytes, 1 << 20);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(before.descriptor_limit, static_cast<int64_t>(limit.rlim_cur));
  const int one = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(one, 0);
  EXPECT_EQ(ReadProcessUse().open_descriptors, before.open_descriptors + 1);
  const rlimit none_left{static_cast<rlim_t>(before.open_descriptors + 1), limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
  }
  const ProcessUse full = ReadProcessUse();
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_GE(full.open_descriptors, full.descriptor_limit);
}

TEST(Utf8, TakesWhatIsWellFormed) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("plain ascii, longer than eight bytes"));
  EXPECT_TRUE(IsValidUtf8("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x99\x82 \xED\x9F\xBF \xEE\x80\x80 \xF4\x8F\xBF\xBF"));
}

TEST(PercentEncode, LeavesOnlyWhatIsUnreserved) {
  EXPECT_EQ(PercentEncode("run_1.x-y~Z9"), "run_1.x-y~Z9");
  EXPECT_EQ(PercentEncode("a:b/c d&e=f+%\xC3\xA4"), "a%3Ab%2Fc%20d%26e%3Df%2B%25%C3%A4");
}

TEST(Utf8, RefusesWhatIsNot) {
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "abcdefgh\xE2\x82", "\xE2\x28\xA1"}) {
    EXPECT_FALSE(IsValidUtf8(bad)) << bad;
  }
}

TEST(Base64, EncodesWithPadding) {
  EXPECT_EQ(Base64Encode(""), "");
  EXPECT_EQ(Base64Encode("f"), "Zg==");
  EXPECT_EQ(Base64Encode("fo"), "Zm8=");
  EXPECT_EQ(Base64Encode("foo"), "Zm9v");
  EXPECT_EQ(Base64Encode("\xFB\xFF"), "+/8=");
}

TEST(Base64, DecodesBothAlphabets) {
  EXPECT_EQ(Base64Decode("Zm8="), "fo");
  EXPECT_EQ(Base64Decode("Zm8"), "fo");
  EXPECT_EQ(Base64Decode("-_8"), "\xFB\xFF");
  EXPECT_EQ(Base64Decode("+/8="), "\xFB\xFF");
  EXPECT_EQ(Base64Decode(""), "");
}

TEST(Base64, RefusesWhatNamesNoBytes) {
  EXPECT_FALSE(Base64Decode("A"));
  EXPECT_FALSE(Base64Decode("Zm9v!"));
  EXPECT_FALSE(Base64Decode("Zm 9"));
  EXPECT_FALSE(Base64Decode("Zh"));  // left-over bits
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(&out, text);
  return out;
}

TEST(JsonText, EscapesWhatMustBe) {
  EXPECT_EQ(Quoted("a\"b\\c\n\r\t"), R"("a\"b\\c\n\r\t")");
  EXPECT_EQ(Quoted(std::string_view("\0\x1F", 2)), R"("\u0000\u001f")");
  EXPECT_EQ(Quoted("\xC3\xA4"), "\"\xC3\xA4\"");
}

TEST(JsonText, LargeWatermarksAreStrings) {
  std::string out;
  AppendWatermark(&out, uint64_t{1} << 53);
  out.push_back(' ');
  AppendWatermark(&out, (uint64_t{1} << 53) + 1);
  EXPECT_EQ(out, R"(9007199254740992 "9007199254740993")");
}

TEST(JsonText, TimestampsHaveMicroseconds) {
  std::string out;
  AppendTimestamp(&out, 1700000000000042);
  AppendTimestamp(&out, -1);
  EXPECT_EQ(out, R"("2023-11-14T22:13:20.000042Z""1969-12-31T23:59:59.999999Z")");
  out.clear();
  AppendTimestamp(&out, std::numeric_limits<int64_t>::max());
  AppendTimestamp(&out, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(out, R"("9999-12-31T23:59:59.999999Z""0000-01-01T00:00:00.000000Z")");
}

TEST(Mailbox, KeepsTheOrderAndSaysWhenToWake) {
  Mailbox<int> mailbox;
  EXPECT_TRUE(mailbox.Post(1));
  EXPECT_FALSE(mailbox.Post(2));
  EXPECT_FALSE(mailbox.Post(3));
  std::vector<int> taken;
  mailbox.Drain([&](int item) { taken.push_back(item); });
  EXPECT_EQ(taken, (std::vector<int>{1, 2, 3}));
  EXPECT_TRUE(mailbox.Post(4));
}

TEST(Mailbox, LosesNothingBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kItems = 20000;
  Mailbox<std::unique_ptr<std::pair<int, int>>> mailbox;
  std::vector<std::thread> producers;
  producers.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    producers.emplace_back([&mailbox, thread] {
      for (int i = 0; i < kItems; ++i) mailbox.Post(std::make_unique<std::pair<int, int>>(thread, i));
    });
  }
  std::vector<int> next(kThreads, 0);
  int total = 0;
  while (total < kThreads * kItems) {
    mailbox.Drain([&](auto item) {
      EXPECT_EQ(item->second, next[item->first]++);
      ++total;
    });
  }
  for (auto& producer : producers) producer.join();
}

struct Timer : WheelEntry {};

TEST(TimingWheel, FiresOnceAtOrAfterTheDeadline) {
  TimingWheel wheel(1000);
  Timer timer;
  int fired = 0;
  wheel.Arm(&timer, 1230);
  wheel.Advance(1229, [&](WheelEntry*) { ++fired; });
  EXPECT_EQ(fired, 0);
  wheel.Advance(1250, [&](WheelEntry*) { ++fired; });
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.armed());
  wheel.Advance(5000, [&](WheelEntry*) { ++fired; });
  EXPECT_EQ(fired, 1);
}

TEST(TimingWheel, HoldsDeadlinesBeyondOneTurn) {
  TimingWheel wheel(0);
  Timer timer;
  const int64_t deadline = 1000000;
  wheel.Arm(&timer, deadline);
  int64_t fired_at = 0;
  for (int64_t now = 0; now <= deadline + 100 && fired_at == 0; now += 37) {
    wheel.Advance(now, [&](WheelEntry*) { fired_at = now; });
  }
  EXPECT_GE(fired_at, deadline);
  EXPECT_LE(fired_at, deadline + 2 * TimingWheel::kTickMs);
}

TEST(TimingWheel, EntriesMayBeMovedArmedAgainAndDestroyedWhileFiring) {
  TimingWheel wheel(0);
  auto first = std::make_unique<Timer>();
  auto second = std::make_unique<Timer>();
  Timer third;
  wheel.Arm(first.get(), 100);
  wheel.Arm(second.get(), 100);
  wheel.Arm(&third, 100);
  int fired = 0;
  wheel.Advance(100, [&](WheelEntry* entry) {
    ++fired;
    if (entry == first.get()) {
      second.reset();  // due in the same round
      wheel.Arm(entry, 100);
    }
  });
  EXPECT_EQ(fired, 2);
  EXPECT_TRUE(first->armed());
  wheel.Disarm(first.get());
  EXPECT_FALSE(first->armed());
}

TEST(TimingWheel, CatchesUpAfterALongSleep) {
  TimingWheel wheel(0);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 1000; ++i) {
    timers.push_back(std::make_unique<Timer>());
    wheel.Arm(timers.back().get(), i * 311);
  }
  int fired = 0;
  wheel.Advance(100000000, [&](WheelEntry*) { ++fired; });
  EXPECT_EQ(fired, 1000);
}

TEST(TokenBucket, LetsABurstThroughAndThenARate) {
  TokenBucket bucket(10, 20, 0);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(bucket.Take(0));
  EXPECT_FALSE(bucket.Take(0));
  EXPECT_GE(bucket.WaitMs(), 100);
  EXPECT_TRUE(bucket.Take(101));
  EXPECT_FALSE(bucket.Take(102));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(bucket.Take(1000000));
  EXPECT_FALSE(bucket.Take(1000000));
}

TEST(Utf8, KnowsWhatACharacterCanBeginWith) {
  // Against all characters there are, which 64 at a time begin alike: the beginnings of their encodings, nothing else.
  std::set<std::string> beginnings;
  for (uint32_t code = 0x80; code <= 0x10FFFF; code += 64) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    if (code < 0x800) {
      text = {static_cast<char>(0xC0 | code >> 6)};
    } else if (code < 0x10000) {
      text = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63))};
    } else {
      text = {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
              static_cast<char>(0x80 | (code >> 6 & 63))};
    }
    for (size_t size = 1; size <= text.size(); ++size) beginnings.insert(text.substr(0, size));
  }
  EXPECT_TRUE(MayBeginCharacter(""));
  for (int a = 0x80; a < 256; ++a) {
    const std::string one(1, static_cast<char>(a));
    EXPECT_EQ(MayBeginCharacter(one), beginnings.count(one) == 1) << a;
    for (int b = 0; b < 256; ++b) {
      const std::string two = one + static_cast<char>(b);
      EXPECT_EQ(MayBeginCharacter(two), beginnings.count(two) == 1 || IsValidUtf8(two)) << a << " " << b;
      for (const int c : {0x00, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF}) {
        const std::string three = two + static_cast<char>(c);
        EXPECT_EQ(MayBeginCharacter(three),
                  beginnings.count(three) == 1 || (IsValidUtf8(three) && ValidUtf8Prefix(two) == 0))
            << a << " " << b;
      }
    }
  }
  EXPECT_EQ(ValidUtf8Prefix("abc\xC3\xBC\xE2\x82"), 5u);
  EXPECT_EQ(ValidUtf8Prefix("abcdefghijk"), 11u);
}

}  // namespace
}  // namespace oasync
