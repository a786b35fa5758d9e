#include "http_response.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

using State = HttpResponseReader::State;

constexpr size_t kLimit = 1000;

State Feed(HttpResponseReader* reader, const std::string& text, bool byte_by_byte) {
  if (!byte_by_byte) return reader->Feed(text);
  State state = State::kMore;
  for (const char c : text) {
    state = reader->Feed(std::string(1, c));
    if (state != State::kMore) break;
  }
  return state;
}

TEST(HttpResponse, ReadsBodiesOfAKnownLength) {
  for (const bool slowly : {false, true}) {
    HttpResponseReader reader(kLimit);
    EXPECT_EQ(Feed(&reader, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello", slowly), State::kDone);
    EXPECT_EQ(reader.response().status, 200);
    EXPECT_EQ(reader.response().body, "hello");
    EXPECT_EQ(*reader.response().Header("x-a"), "b");
    EXPECT_EQ(reader.response().Header("x-b"), nullptr);
  }
}

TEST(HttpResponse, ReadsChunks) {
  for (const bool slowly : {false, true}) {
    HttpResponseReader reader(kLimit);
    EXPECT_EQ(Feed(&reader,
                   "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
                   slowly),
              State::kDone);
    EXPECT_EQ(reader.response().body, "hello!");
  }
}

TEST(HttpResponse, ReadsUntilTheEnd) {
  HttpResponseReader reader(kLimit);
  EXPECT_EQ(reader.Feed("HTTP/1.0 200 OK\r\n\r\nhel"), State::kMore);
  EXPECT_EQ(reader.Feed("lo"), State::kMore);
  EXPECT_EQ(reader.End(), State::kDone);
  EXPECT_EQ(reader.response().body, "hello");
}

TEST(HttpResponse, PassesOverWhatComesBeforeTheAnswer) {
  HttpResponseReader reader(kLimit);
  EXPECT_EQ(reader.Feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), State::kDone);
  EXPECT_EQ(reader.response().status, 204);
}

TEST(HttpResponse, AnAnswerThatIsCutIsNone) {
  HttpResponseReader reader(kLimit);
  EXPECT_EQ(reader.Feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), State::kMore);
  EXPECT_EQ(reader.End(), State::kBad);
  HttpResponseReader silent(kLimit);
  EXPECT_EQ(silent.End(), State::kBad);
}

TEST(HttpResponse, RefusesWhatIsNone) {
  for (const char* text :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    HttpResponseReader reader(kLimit);
    EXPECT_EQ(reader.Feed(text), State::kBad) << text;
  }
  HttpResponseReader endless(kLimit);
  EXPECT_EQ(endless.Feed("HTTP/1.1 200 OK\r\nA: " + std::string(70000, 'x')), State::kBad);
}

TEST(HttpResponse, HasALimit) {
  HttpResponseReader length(kLimit);
  EXPECT_EQ(length.Feed("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), State::kTooLarge);
  HttpResponseReader chunked(kLimit);
  EXPECT_EQ(chunked.Feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            State::kTooLarge);
  HttpResponseReader endless(kLimit);
  EXPECT_EQ(endless.Feed("HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x')), State::kTooLarge);
}

}  // namespace
}  // namespace oasync::terminal
