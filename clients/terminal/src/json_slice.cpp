#include "json_slice.h"

namespace oasync::terminal {
namespace {

// Walks over a valid JSON text; on any other it only never leaves it.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool Take(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // The next value's text.
  std::string_view Value() {
    SkipSpace();
    const size_t begin = at_;
    size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        SkipString();
        if (depth == 0) break;
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') {
        if (depth == 0) break;  // the end of what holds this value
        ++at_;
        if (--depth == 0) break;
        continue;
      }
      if (depth == 0 && (c == ',' || c == ':' || IsSpace(c))) break;
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }

  void SkipString() {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        break;
      }
    }
    at_ = at_ < text_.size() ? at_ + 1 : text_.size();
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::string_view> JsonMember(std::string_view object, std::string_view name) {
  Scanner scanner(object);
  if (!scanner.Take('{')) return std::nullopt;
  do {
    const std::string_view key = scanner.Value();
    if (key.size() < 2 || !scanner.Take(':')) return std::nullopt;
    const std::string_view value = scanner.Value();
    if (key.substr(1, key.size() - 2) == name) return value;
  } while (scanner.Take(','));
  return std::nullopt;
}

std::vector<std::string_view> JsonElements(std::string_view list) {
  std::vector<std::string_view> elements;
  Scanner scanner(list);
  if (!scanner.Take('[') || scanner.Take(']')) return elements;
  do {
    const std::string_view element = scanner.Value();
    if (element.empty()) break;
    elements.push_back(element);
  } while (scanner.Take(','));
  return elements;
}

}  // namespace oasync::terminal
