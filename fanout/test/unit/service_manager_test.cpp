// What a service manager is told, at a socket of the test's own.
#include "base/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace oasync {
namespace {

// A service manager's socket, at a path or in the abstract namespace.
class Listener {
 public:
  explicit Listener(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)), name_(name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    bound_ = bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    close(fd_);
    if (name_[0] != '@') unlink(name_.c_str());
  }

  bool bound() const { return bound_; }
  // What came next, "" when there is nothing more.
  std::string Next() const {
    char text[512];
    const ssize_t size = recv(fd_, text, sizeof text, 0);
    return size < 0 ? std::string() : std::string(text, static_cast<size_t>(size));
  }

 private:
  int fd_;
  std::string name_;
  bool bound_ = false;
};

std::string NameOf(const char* kind) { return "oa-sync-notify-" + std::to_string(getpid()) + kind; }

TEST(ServiceManager, IsToldByPathAndByAbstractName) {
  for (const std::string& name : {"/tmp/" + NameOf("path"), "@" + NameOf("abstract")}) {
    const Listener listener(name);
    ASSERT_TRUE(listener.bound()) << name;
    const ServiceManager manager(name, true);
    manager.Ready("listening on 127.0.0.1:4400");
    EXPECT_EQ(listener.Next(), "READY=1\nSTATUS=listening on 127.0.0.1:4400");
    manager.Alive();
    EXPECT_EQ(listener.Next(), "WATCHDOG=1");
    manager.Stopping(7500);
    EXPECT_EQ(listener.Next(), "STOPPING=1\nSTATUS=closing connections\nEXTEND_TIMEOUT_USEC=7500000");
    EXPECT_EQ(listener.Next(), "");
  }
}

TEST(ServiceManager, IsNotToldWhatItDoesNotListenTo) {
  const Listener listener("@" + NameOf("quiet"));
  ASSERT_TRUE(listener.bound());
  const ServiceManager manager("@" + NameOf("quiet"), false);
  manager.Alive();
  EXPECT_EQ(listener.Next(), "");
  manager.Ready("a\nREADY=0");
  EXPECT_EQ(listener.Next(), "READY=1\nSTATUS=a READY=0");
}

// The kernel takes a few datagrams for one who does not read, and no more.
TEST(ServiceManager, IsWaitedForOnlyToSayThatItIsReady) {
  const std::string name = "@" + NameOf("busy");
  const Listener listener(name);
  ASSERT_TRUE(listener.bound());
  const ServiceManager manager(name, true);
  for (int i = 0; i < 2000; ++i) manager.Alive();
  std::thread ready([&manager] { manager.Ready("listening"); });
  std::string last;
  while (last != "READY=1\nSTATUS=listening") {
    if (const std::string next = listener.Next(); !next.empty()) {
      last = next;
    } else {
      std::this_thread::yield();
    }
  }
  ready.join();
}

TEST(ServiceManager, MayBeAbsentOrGone) {
  ServiceManager("", true).Ready("nobody");
  ServiceManager("/nonexistent/notify", true).Ready("nobody");
  ServiceManager(std::string(200, 'x'), true).Stopping(1);
}

TEST(ServiceManager, IsTakenOutOfTheEnvironment) {
  const std::string name = "@" + NameOf("environment");
  const Listener listener(name);
  ASSERT_TRUE(listener.bound());
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  ServiceManager::FromEnvironment().Alive();
  EXPECT_EQ(listener.Next(), "WATCHDOG=1");
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) EXPECT_EQ(getenv(variable), nullptr);

  // A watchdog of another process is not fed by this one.
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  setenv("WATCHDOG_USEC", "30000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  ServiceManager::FromEnvironment().Alive();
  EXPECT_EQ(listener.Next(), "");
}

}  // namespace
}  // namespace oasync
