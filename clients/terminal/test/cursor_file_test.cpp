#include "cursor_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace oasync::terminal {
namespace {

class CursorFileTest : public testing::Test {
 protected:
  CursorFileTest() {
    std::array<char, 32> name = {"/tmp/oa-sync-cursor-XXXXXX"};
    directory = mkdtemp(name.data());
    path = directory + "/cursor";
  }
  ~CursorFileTest() override {
    for (const char* name : {"/cursor", "/cursor.lock", "/cursor.new", "/link"}) unlink((directory + name).c_str());
    rmdir(directory.c_str());
  }
  void Write(const std::string& text) const { std::ofstream(path) << text; }
  std::string Read() const {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::string directory;
  std::string path;
};

TEST_F(CursorFileTest, RemembersCursors) {
  {
    CursorFile file;
    ASSERT_EQ(file.Open(path), "");
    EXPECT_TRUE(file.cursors().empty());
    file.Set("a", {1795377600000000, 41});
    file.Set("b", {7, uint64_t{1} << 60});
    EXPECT_TRUE(file.has_changed());
    ASSERT_EQ(file.Save(), "");
    EXPECT_FALSE(file.has_changed());
  }
  CursorFile file;
  ASSERT_EQ(file.Open(path), "");
  EXPECT_EQ(file.cursors().at("a"), (Cursor{1795377600000000, 41}));
  EXPECT_EQ(file.cursors().at("b"), (Cursor{7, uint64_t{1} << 60}));
  file.Set("a", {1795377600000000, 41});
  EXPECT_FALSE(file.has_changed()) << "nothing new";
}

TEST_F(CursorFileTest, KeepsTopicsOfOthers) {
  Write(R"({"version":1,"cursors":[{"topic":"other","epoch":1,"watermark":2}]})");
  CursorFile file;
  ASSERT_EQ(file.Open(path), "");
  file.Set("mine", {1, 1});
  ASSERT_EQ(file.Save(), "");
  EXPECT_EQ(CursorFile::Parse(Read())->size(), 2u);
}

TEST_F(CursorFileTest, IsOneProcessesOnly) {
  CursorFile first;
  ASSERT_EQ(first.Open(path), "");
  CursorFile second;
  EXPECT_NE(second.Open(path).find("in use"), std::string::npos);
}

TEST_F(CursorFileTest, TheLockOutlivesAReplacement) {
  CursorFile first;
  ASSERT_EQ(first.Open(path), "");
  first.Set("a", {1, 1});
  ASSERT_EQ(first.Save(), "");
  CursorFile second;
  EXPECT_NE(second.Open(path), "") << "rename gave the file another inode";
}

TEST_F(CursorFileTest, ALinkStaysOne) {
  Write(R"({"version":1,"cursors":[]})");
  const std::string link = directory + "/link";
  ASSERT_EQ(symlink(path.c_str(), link.c_str()), 0);
  CursorFile file;
  ASSERT_EQ(file.Open(link), "");
  file.Set("a", {1, 1});
  ASSERT_EQ(file.Save(), "");
  struct stat about {};
  ASSERT_EQ(lstat(link.c_str(), &about), 0);
  EXPECT_TRUE(S_ISLNK(about.st_mode));
  EXPECT_EQ(CursorFile::Parse(Read())->count("a"), 1u);
}

TEST_F(CursorFileTest, WhatIsNoCursorFileIsNotReplaced) {
  for (const char* text : {"", "x", "{}", R"({"version":2,"cursors":[]})", R"({"version":1})",
                           R"({"version":1,"cursors":[{"topic":"a"}]})",
                           R"({"version":1,"cursors":[{"topic":"a","epoch":1,"watermark":-1}]})"}) {
    Write(text);
    CursorFile file;
    EXPECT_NE(file.Open(path).find("no cursor file"), std::string::npos) << text;
    EXPECT_EQ(Read(), text);
  }
}

TEST_F(CursorFileTest, SaysWhereItCannotWrite) {
  CursorFile file;
  EXPECT_NE(file.Open(directory + "/none/cursor"), "");
}

}  // namespace
}  // namespace oasync::terminal
