#include "endpoint.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

Endpoint Parsed(const char* url) {
  std::string error;
  const auto endpoint = ParseEndpoint(url, &error);
  EXPECT_TRUE(endpoint) << url << ": " << error;
  return endpoint.value_or(Endpoint{});
}

TEST(Endpoint, UnderstandsTheUrlOfThePhoenixClient) {
  const Endpoint endpoint = Parsed("ws://127.0.0.1:4400/socket");
  EXPECT_FALSE(endpoint.tls);
  EXPECT_EQ(endpoint.host, "127.0.0.1");
  EXPECT_EQ(endpoint.port, 4400);
  EXPECT_EQ(endpoint.base, "");
  EXPECT_EQ(endpoint.socket, "/socket/websocket");
  EXPECT_EQ(endpoint.HttpUrl(), "http://127.0.0.1:4400");
}

TEST(Endpoint, UnderstandsWhatStandsInFrontAndBehind) {
  EXPECT_EQ(Parsed("https://sync.example/live").socket, "/live/socket/websocket");
  EXPECT_EQ(Parsed("https://sync.example/live").base, "/live");
  EXPECT_EQ(Parsed("wss://sync.example/live/socket/websocket").base, "/live");
  EXPECT_EQ(Parsed("ws://a/sync/socket").socket, "/sync/socket/websocket");
  EXPECT_EQ(Parsed("ws://a/sync/socket").base, "");
  EXPECT_EQ(Parsed("http://a/").socket, "/socket/websocket");
}

TEST(Endpoint, KnowsStandardPortsAndIpv6) {
  EXPECT_EQ(Parsed("wss://a").port, 443);
  EXPECT_TRUE(Parsed("wss://a").tls);
  EXPECT_EQ(Parsed("http://a").port, 80);
  const Endpoint v6 = Parsed("ws://[::1]:4400");
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.Authority(), "[::1]:4400");
}

TEST(Endpoint, RefusesTheRest) {
  for (const char* url : {"", "a:4400", "ftp://a", "ws://", "ws://:80", "ws://a:0", "ws://a:70000", "ws://a:x",
                          "ws://[::1", "ws://[]", "ws://[::1]x", "ws://a/b c", "ws://a\r\nX: y"}) {
    std::string error;
    EXPECT_FALSE(ParseEndpoint(url, &error)) << url;
    EXPECT_FALSE(error.empty()) << url;
  }
}

TEST(Endpoint, RefusesPlacesForSecrets) {
  for (const char* url : {"ws://user:pw@a", "ws://a/socket?token=abc", "ws://a#t"}) {
    std::string error;
    EXPECT_FALSE(ParseEndpoint(url, &error)) << url;
    EXPECT_NE(error.find("--token-file"), std::string::npos) << url;
    EXPECT_EQ(error.find("abc"), std::string::npos) << "the secret is not repeated";
  }
}

}  // namespace
}  // namespace oasync::terminal
