#include "text_template.h"

namespace oasync {

const char* ParseTemplate(std::string_view text, TextTemplate& out) {
  out.count = 0;
  size_t literal = 0;
  size_t i = 0;
  const auto add = [&out](bool is_column, std::string_view part) {
    if (part.empty()) return true;
    if (out.count == kMaxTemplateParts) return false;
    out.parts[out.count++] = {is_column, part};
    return true;
  };
  while (i < text.size()) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      ++i;
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == c) {
      i += 2;
      continue;
    }
    if (c == '}') return "a } has no matching {; write }} for a literal brace";
    const size_t close = text.find('}', i);
    if (close == std::string_view::npos) return "a { has no matching }; write {{ for a literal brace";
    const std::string_view name = Part(text, i + 1, close - i - 1);
    if (name.empty()) return "{} names no column";
    if (!add(false, Part(text, literal, i - literal)) || !add(true, name)) return "it has more than 32 parts";
    i = literal = close + 1;
  }
  if (!add(false, Part(text, literal, text.size() - literal))) return "it has more than 32 parts";
  if (out.count == 0) return "it is empty";
  return nullptr;
}

void AppendLiteral(Bytes& out, std::string_view literal) {
  for (size_t i = 0; i < literal.size(); ++i) {
    out.Append(literal[i]);
    if (literal[i] == '{' || literal[i] == '}') ++i;
  }
}

bool IsValidTopic(std::string_view topic) {
  if (topic.empty() || topic.size() > kMaxTopicBytes) return false;
  for (const char c : topic) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '.' || c == ':' || c == '/' || c == '-';
    if (!ok) return false;
  }
  return true;
}

}  // namespace oasync
