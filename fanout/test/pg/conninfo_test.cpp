#include "pg/conninfo.h"

#include <gtest/gtest.h>

#include <string>

namespace oasync::pg {
namespace {

// As libpq sees it: the last one wins.
std::string Value(const Conninfo& info, const std::string& keyword, bool replication = false) {
  std::string found;
  for (const auto& [key, value] : info.Parameters("app", replication)) {
    if (key == keyword) found = value;
  }
  return found;
}

TEST(ConninfoTest, DefaultsAndWhatTheUserGave) {
  std::string error;
  const Conninfo info = Conninfo::Parse("host=db dbname=x keepalives_idle=99 client_encoding=LATIN1", &error);
  EXPECT_EQ(error, "");
  EXPECT_EQ(Value(info, "host"), "db");
  EXPECT_EQ(Value(info, "keepalives_idle"), "99");
  EXPECT_EQ(Value(info, "tcp_user_timeout"), "20000");
  EXPECT_EQ(Value(info, "client_encoding"), "UTF8");
  EXPECT_EQ(Value(info, "application_name"), "app");
  EXPECT_EQ(Value(info, "replication"), "");
  EXPECT_EQ(Value(info, "replication", true), "database");
}

TEST(ConninfoTest, Uri) {
  std::string error;
  const Conninfo info = Conninfo::Parse("postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write", &error);
  EXPECT_EQ(error, "");
  EXPECT_EQ(Value(info, "host"), "h1,h2");
  EXPECT_EQ(Value(info, "target_session_attrs"), "read-write");
}

TEST(ConninfoTest, ConnectTimeout) {
  std::string error;
  EXPECT_EQ(Conninfo::Parse("host=a", &error).connect_timeout_ms(), 5000);
  EXPECT_EQ(Conninfo::Parse("host=a connect_timeout=7", &error).connect_timeout_ms(), 7000);
  EXPECT_EQ(Conninfo::Parse("host=a connect_timeout=1", &error).connect_timeout_ms(), 2000);
  EXPECT_EQ(Conninfo::Parse("host=a connect_timeout=0", &error).connect_timeout_ms(), 60'000);
}

TEST(ConninfoTest, HostsRotateTogether) {
  std::string error;
  Conninfo info = Conninfo::Parse("host=a,b,c port=1,2,3", &error);
  info.RotateHosts();
  EXPECT_EQ(Value(info, "host"), "b,c,a");
  EXPECT_EQ(Value(info, "port"), "2,3,1");
  Conninfo one_port = Conninfo::Parse("host=a,b port=5", &error);
  one_port.RotateHosts();
  EXPECT_EQ(Value(one_port, "host"), "b,a");
  EXPECT_EQ(Value(one_port, "port"), "5");
}

TEST(ConninfoTest, CopiesShareTheOrderOfHosts) {
  std::string error;
  Conninfo info = Conninfo::Parse("host=a,b,c port=1,2,3", &error);
  Conninfo copy = info;
  EXPECT_EQ(Value(copy, "host"), "a,b,c");
  EXPECT_EQ(Value(info, "host"), "a,b,c");
  info.RotateHosts();
  // Both had tried a; the second to give it up does not pass over b.
  copy.RotateHosts();
  EXPECT_EQ(Value(copy, "host"), "b,c,a");
  EXPECT_EQ(Value(info, "port"), "2,3,1");
  copy.RotateHosts();
  EXPECT_EQ(Value(info, "host"), "c,a,b");
  info.RotateHosts();
  EXPECT_EQ(Value(copy, "host"), "a,b,c");
}

TEST(ConninfoTest, ErrorsDoNotQuoteTheString) {
  std::string error;
  Conninfo::Parse("host=a password=hunter2 hunter2", &error);
  EXPECT_FALSE(error.empty());
  EXPECT_EQ(error.find("hunter2"), std::string::npos);
  EXPECT_EQ(error.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace oasync::pg
