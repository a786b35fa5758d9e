// The console's files without a socket: what is read, which path is which file, with which headers; and whose pages
// may ask.
#include "net/console_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "auth/origin.h"
#include "net/http_content.h"

namespace oasync {
namespace {

namespace fs = std::filesystem;

class ConsoleDirectory : public ::testing::Test {
 protected:
  ConsoleDirectory() {
    std::string pattern = (fs::temp_directory_path() / "oa-sync-console-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    Write("index.html", "<!doctype html>");
  }
  ~ConsoleDirectory() override { fs::remove_all(directory_); }

  void Write(const std::string& name, const std::string& bytes) {
    fs::create_directories((directory_ / name).parent_path());
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
  }
  std::optional<ConsoleFiles> Read(const ConsoleLimits& limits = {}) {
    return ConsoleFiles::Read(directory_.string(), limits, &error_);
  }
  static std::optional<HttpAnswer> Ask(const ConsoleFiles& files, const std::string& path,
                                       const std::string& accept = "", HttpMethod method = HttpMethod::kGet) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.accept = accept;
    return files.Answer(request);
  }

  fs::path directory_;
  std::string error_;
};

TEST_F(ConsoleDirectory, ServesWhatWasRead) {
  const std::string script(2000, 's');
  Write("assets/index-1a2b3c4d.js", script);
  Write("assets/deep/er/logo.svg", "<svg/>");
  Write(".hidden", "no");
  Write(".git/config.txt", "no");
  fs::create_symlink("/etc/hostname", directory_ / "link.txt");
  const auto files = Read();
  ASSERT_TRUE(files) << error_;
  EXPECT_EQ(files->size(), 3u);
  EXPECT_EQ(Ask(*files, "/")->Content(), "<!doctype html>");
  const auto answer = Ask(*files, "/assets/index-1a2b3c4d.js");
  EXPECT_EQ(answer->Content(), script);
  EXPECT_NE(answer->headers.find("etag: " + StrongETag(script)), std::string::npos);
  EXPECT_STREQ(answer->route, "console");
  EXPECT_EQ(Ask(*files, "/assets/deep/er/logo.svg")->content_type, "image/svg+xml");
  for (const char* path : {"/.hidden", "/.git/config.txt", "/link.txt", "/assets", "/assets/", "//index.html", "",
                           "/assets/../index.html", "/etc/hostname"}) {
    EXPECT_FALSE(Ask(*files, path)) << path;
  }
}

TEST_F(ConsoleDirectory, OnlyHashedAssetsAreKeptForEver) {
  for (const char* name : {"assets/index-1a2b3c4d.js", "assets/a-b-DEADBEEF.css", "assets/index.js", "assets/in-dex.js",
                           "assets/index-1a2b3c.js", "sw-1a2b3c4d.js"}) {
    Write(name, "x");
  }
  const auto files = Read();
  ASSERT_TRUE(files);
  const auto is_kept = [&](const char* path) {
    return Ask(*files, path)->headers.find("immutable") != std::string::npos;
  };
  EXPECT_TRUE(is_kept("/assets/index-1a2b3c4d.js"));
  EXPECT_TRUE(is_kept("/assets/a-b-DEADBEEF.css"));
  for (const char* path :
       {"/assets/index.js", "/assets/in-dex.js", "/assets/index-1a2b3c.js", "/sw-1a2b3c4d.js", "/index.html", "/"}) {
    EXPECT_FALSE(is_kept(path)) << path;
  }
}

TEST_F(ConsoleDirectory, PagesAreForWhoTakesHtml) {
  const auto files = Read();
  ASSERT_TRUE(files);
  constexpr char kHtml[] = "text/html,*/*";
  EXPECT_EQ(Ask(*files, "/topics", kHtml)->Content(), "<!doctype html>");
  EXPECT_FALSE(Ask(*files, "/topics", "*/*"));
  EXPECT_FALSE(Ask(*files, "/api/none", kHtml));
  EXPECT_EQ(Ask(*files, "/topics", kHtml, HttpMethod::kPost)->status, 405);
  EXPECT_EQ(Ask(*files, "/", "", HttpMethod::kOptions)->status, 204);
}

TEST(ConsolePages, PathsOfProgramsAreNone) {
  for (const char* path : {"/topics", "/topic", "/a/b/c", "/apiary", "/syncs"}) EXPECT_TRUE(IsPagePath(path)) << path;
  for (const char* path : {"", "x", "/a.js", "/a.b/c", "/api", "/api/admin/none", "/socket/websocket", "/sync",
                           "/metrics", "/healthz", "/readyz", "/assets/x"}) {
    EXPECT_FALSE(IsPagePath(path)) << path;
  }
}

TEST_F(ConsoleDirectory, LimitsAndFaultsAreSaid) {
  Write("large.txt", std::string(1000, 'x'));
  ConsoleLimits limits;
  limits.max_bytes = 1000;
  EXPECT_FALSE(Read(limits));
  EXPECT_NE(error_.find("--console-max-bytes"), std::string::npos);
  limits = {};
  limits.max_files = 1;
  EXPECT_FALSE(Read(limits));
  fs::remove(directory_ / "index.html");
  EXPECT_FALSE(Read());
  EXPECT_NE(error_.find("no index.html"), std::string::npos);
  fs::remove_all(directory_);
  EXPECT_FALSE(Read());
  EXPECT_NE(error_.find("No such file"), std::string::npos);
}

TEST(ConsolePolicy, NamesTheHostOnlyIfItIsOne) {
  EXPECT_NE(ContentSecurityPolicy("[::1]:4400").find("connect-src 'self' ws://[::1]:4400 wss://[::1]:4400;"),
            std::string::npos);
  for (const std::string& host : {std::string("a;b"), std::string("a b"), std::string("a,b"), std::string("'x'"),
                                  std::string("a\r\nb"), std::string(), std::string(300, 'a')}) {
    EXPECT_NE(ContentSecurityPolicy(host).find("connect-src 'self';"), std::string::npos) << host;
  }
}

TEST(OwnOrigin, OnlyByAddressOrLocalhost) {
  EXPECT_TRUE(IsOwnOrigin("http://127.0.0.1:4400", false, "127.0.0.1:4400"));
  EXPECT_TRUE(IsOwnOrigin("http://LOCALHOST:4400", false, "localhost:4400"));
  EXPECT_TRUE(IsOwnOrigin("https://[2001:db8::1]", true, "[2001:DB8::1]"));
  EXPECT_TRUE(IsOwnOrigin("http://10.0.0.1", false, "10.0.0.1"));
  EXPECT_FALSE(IsOwnOrigin("", false, "127.0.0.1"));
  EXPECT_FALSE(IsOwnOrigin("http://", false, ""));
  EXPECT_FALSE(IsOwnOrigin("null", false, "null"));
  EXPECT_FALSE(IsOwnOrigin("http://127.0.0.1:4400", true, "127.0.0.1:4400"));
  EXPECT_FALSE(IsOwnOrigin("http://127.0.0.1:4400", false, "127.0.0.1:4401"));
  EXPECT_FALSE(IsOwnOrigin("http://sync.example", false, "sync.example"));
  EXPECT_FALSE(IsOwnOrigin("http://localhost.example", false, "localhost.example"));
  EXPECT_FALSE(IsOwnOrigin("http://127.1", false, "127.1"));
  EXPECT_FALSE(IsOwnOrigin("http://[::1", false, "[::1"));
  EXPECT_FALSE(IsOwnOrigin("http://[::1]x", false, "[::1]x"));
  EXPECT_FALSE(IsOwnOrigin("http://127.0.0.1@evil.example", false, "127.0.0.1@evil.example"));
}

}  // namespace
}  // namespace oasync
