#include "net/console_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "net/http_content.h"

namespace oasync {
namespace {

namespace fs = std::filesystem;

constexpr char kIndex[] = "/index.html";
constexpr char kMethods[] = "GET, HEAD, OPTIONS";
// Compressed once, at the start.
constexpr int kGzipLevel = 9;
constexpr size_t kGzipMinBytes = 256;
// As Vite names them: a hash of the content, so that another content has another name.
constexpr size_t kMinHashChars = 8;
constexpr char kForEver[] = "public, max-age=31536000, immutable";
constexpr char kAskAgain[] = "no-cache";

struct Kind {
  std::string_view extension;
  const char* content_type;
  bool compresses;
};
constexpr std::array kKinds = {
    Kind{".html", "text/html; charset=utf-8", true},
    Kind{".js", "text/javascript; charset=utf-8", true},
    Kind{".mjs", "text/javascript; charset=utf-8", true},
    Kind{".css", "text/css; charset=utf-8", true},
    Kind{".json", "application/json", true},
    Kind{".map", "application/json", true},
    Kind{".webmanifest", "application/manifest+json", true},
    Kind{".svg", "image/svg+xml", true},
    Kind{".txt", "text/plain; charset=utf-8", true},
    Kind{".wasm", "application/wasm", true},
    Kind{".ico", "image/vnd.microsoft.icon", true},
    Kind{".png", "image/png", false},
    Kind{".jpg", "image/jpeg", false},
    Kind{".webp", "image/webp", false},
    Kind{".woff2", "font/woff2", false},
};
constexpr Kind kOther{"", "application/octet-stream", false};

const Kind& KindOf(std::string_view path) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) {
    return path.size() > kind.extension.size() && path.substr(path.size() - kind.extension.size()) == kind.extension;
  });
  return found == kKinds.end() ? kOther : *found;
}

// "/assets/index-1a2b3c4d.js": what is behind the name never changes.
bool IsHashed(std::string_view path) {
  constexpr std::string_view kAssets = "/assets/";
  if (path.substr(0, kAssets.size()) != kAssets) return false;
  const size_t name = path.rfind('/') + 1;
  const size_t dot = path.find('.', name);
  const size_t dash = path.find('-', name);
  if (dot == std::string_view::npos || dash == std::string_view::npos || dash > dot) return false;
  const std::string_view hash = path.substr(dash + 1, dot - dash - 1);
  return hash.size() >= kMinHashChars && std::all_of(hash.begin(), hash.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_';
         });
}

// Nothing of a request may end a directive or a header.
bool IsPlainHost(std::string_view host) {
  constexpr size_t kMaxHost = 255;
  return !host.empty() && host.size() <= kMaxHost && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

bool WantsHtml(std::string_view accept) { return accept.find("text/html") != std::string_view::npos; }

bool ReadFile(const fs::path& path, std::string* bytes) {
  std::ifstream file(path, std::ios::binary);
  bytes->assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

}  // namespace

std::string ContentSecurityPolicy(std::string_view host) {
  std::string connect = "'self'";
  if (IsPlainHost(host)) connect.append(" ws://").append(host).append(" wss://").append(host);
  return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
         "connect-src " +
         connect +
         "; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

bool IsPagePath(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.find('.') != std::string_view::npos) return false;
  for (const std::string_view program : {"/api", "/socket", "/sync", "/metrics", "/healthz", "/readyz", "/assets"}) {
    const bool begins = path.substr(0, program.size()) == program;
    if (begins && (path.size() == program.size() || path[program.size()] == '/')) return false;
  }
  return true;
}

std::optional<ConsoleFiles> ConsoleFiles::Read(const std::string& directory, const ConsoleLimits& limits,
                                               std::string* error) {
  ConsoleFiles console;
  std::error_code failure;
  fs::recursive_directory_iterator entries(directory, failure);
  if (failure) {
    *error = directory + ": " + failure.message();
    return std::nullopt;
  }
  for (; entries != fs::end(entries); entries.increment(failure)) {
    if (failure) break;
    const fs::path& path = entries->path();
    const bool is_hidden = path.filename().string().front() == '.';
    if (is_hidden && entries->is_directory(failure)) entries.disable_recursion_pending();
    if (is_hidden || entries->is_symlink(failure) || !entries->is_regular_file(failure)) continue;
    const uint64_t size = entries->file_size(failure);
    if (failure || console.files_.size() >= limits.max_files || console.bytes_ + size > limits.max_bytes) {
      *error = directory + ": more than " + std::to_string(limits.max_files) + " files or " +
               std::to_string(limits.max_bytes) + " bytes (--console-max-bytes)";
      return std::nullopt;
    }
    std::string bytes;
    if (!ReadFile(path, &bytes)) {
      *error = path.string() + ": cannot be read";
      return std::nullopt;
    }
    console.Keep('/' + path.lexically_relative(directory).generic_string(), std::move(bytes));
  }
  if (failure) {
    *error = directory + ": " + failure.message();
    return std::nullopt;
  }
  if (!console.files_.contains(kIndex)) {
    *error = directory + ": there is no index.html";
    return std::nullopt;
  }
  return console;
}

void ConsoleFiles::Keep(std::string path, std::string bytes) {
  const Kind& kind = KindOf(path);
  File file{kind.content_type, IsHashed(path) ? kForEver : kAskAgain, nullptr, nullptr, StrongETag(bytes)};
  if (kind.compresses && bytes.size() >= kGzipMinBytes) {
    if (auto compressed = Gzip(bytes, kGzipLevel)) {
      file.compressed = std::make_shared<const std::string>(std::move(*compressed));
    }
  }
  bytes_ += bytes.size();
  file.bytes = std::make_shared<const std::string>(std::move(bytes));
  files_.emplace(std::move(path), std::move(file));
}

const ConsoleFiles::File* ConsoleFiles::Find(const HttpRequest& request) const {
  const auto exact = files_.find(request.path);
  if (exact != files_.end()) return &exact->second;
  const bool is_page = request.path == "/" || (IsPagePath(request.path) && WantsHtml(request.accept));
  return is_page ? &files_.find(kIndex)->second : nullptr;
}

std::optional<HttpAnswer> ConsoleFiles::Answer(const HttpRequest& request) const {
  const File* file = Find(request);
  if (file == nullptr) return std::nullopt;
  HttpAnswer answer;
  if (request.method == HttpMethod::kOptions) {
    answer.status = 204;
    answer.AddHeader("allow", kMethods);
  } else if (request.method != HttpMethod::kGet && request.method != HttpMethod::kHead) {
    answer = HttpError(405, "method_not_allowed", "see_allow");
    answer.AddHeader("allow", kMethods);
  } else {
    const bool compressed = file->compressed && AcceptsGzip(request.accept_encoding);
    answer.content_type = file->content_type;
    answer.AddHeader("cache-control", file->cache_control);
    answer.AddHeader("vary", "accept-encoding");
    answer.AddHeader("etag", compressed ? CompressedTag(file->etag) : file->etag);
    answer.AddHeader("content-security-policy", ContentSecurityPolicy(request.host));
    answer.AddHeader("referrer-policy", "no-referrer");
    if (ETagMatches(request.if_none_match, file->etag)) {
      answer.status = 304;
    } else {
      answer.shared_body = compressed ? file->compressed : file->bytes;
      if (compressed) answer.AddHeader("content-encoding", "gzip");
    }
  }
  answer.route = "console";
  return answer;
}

}  // namespace oasync
