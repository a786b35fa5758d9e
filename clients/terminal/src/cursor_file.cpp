#include "cursor_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "auth/key_set.h"
#include "auth/strict_json.h"

namespace oasync::terminal {
namespace {

constexpr int kVersion = 1;

std::string Because(const std::string& what) { return what + ": " + std::strerror(errno); }

// A link stays a link: the file that it leads to is replaced.
std::string Resolve(const std::string& path) {
  std::array<char, PATH_MAX> real;
  return realpath(path.c_str(), real.data()) == nullptr ? path : real.data();
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// The rename is only sure to be there after a crash when the directory is on disk.
void SyncDirectory(const std::string& path) {
  const int directory = open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  fsync(directory);
  close(directory);
}

}  // namespace

CursorFile::~CursorFile() {
  if (lock_ >= 0) close(lock_);
}

std::optional<CursorFile::Cursors> CursorFile::Parse(const std::string& text) {
  const Json json = ParseStrictJson(text);
  const Json& list = Member(json, "cursors");
  if (Member(json, "version") != Json(kVersion) || !list.is_array()) return std::nullopt;
  Cursors cursors;
  for (const Json& entry : list) {
    const std::string topic = TextMember(entry, "topic");
    const auto epoch = ReadInteger(Member(entry, "epoch"));
    const auto watermark = ReadInteger(Member(entry, "watermark"));
    if (topic.empty() || !epoch || !watermark) return std::nullopt;
    cursors[topic] = {*epoch, *watermark};
  }
  return cursors;
}

std::string CursorFile::Format(const Cursors& cursors) {
  Json list = Json::array();
  for (const auto& [topic, cursor] : cursors) {
    list.push_back({{"topic", topic}, {"epoch", cursor.epoch}, {"watermark", cursor.watermark}});
  }
  return Json({{"version", kVersion}, {"cursors", std::move(list)}}).dump() + "\n";
}

std::string CursorFile::Open(const std::string& path) {
  path_ = Resolve(path);
  const std::string lock_path = path_ + ".lock";
  lock_ = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) return Because("cannot make " + lock_path);
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Because("cannot lock " + lock_path);
    return path + " is in use by another process: each needs a cursor file of its own";
  }
  if (access(path_.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  std::string text;
  std::string error;
  if (!ReadSmallFile(path_, &text, &error)) return path + " " + error;
  auto cursors = Parse(text);
  if (!cursors) return path + " is no cursor file: name another one, or remove it to begin anew";
  cursors_ = std::move(*cursors);
  return {};
}

void CursorFile::Set(const std::string& topic, const Cursor& cursor) {
  Cursor& known = cursors_[topic];
  changed_ = changed_ || !(known == cursor);
  known = cursor;
}

std::string CursorFile::Save() {
  const std::string draft = path_ + ".new";
  const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return Because("cannot write " + draft);
  const bool written = WriteAll(fd, Format(cursors_)) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) {
    errno = error;
    return Because("cannot write " + draft);
  }
  if (rename(draft.c_str(), path_.c_str()) != 0) return Because("cannot replace " + path_);
  SyncDirectory(path_);
  changed_ = false;
  return {};
}

}  // namespace oasync::terminal
