#include "template_reverse.h"

namespace oasync {
namespace {

struct Search {
  const ReversePart* parts;
  int count;
  std::string_view text;
  ReversalVisitor visit;
  void* context;
  int steps;
  std::string_view values[kMaxTemplateParts];
  bool known[kMaxTemplateParts];
};

bool HasAt(std::string_view text, size_t at, std::string_view piece) {
  return text.size() - at >= piece.size() && Part(text, at, piece.size()) == piece;
}

// Matches parts from `i` on with the text from `at` on; as deep as there are parts.
Reversal Match(Search& search, int i, size_t at) {
  if (++search.steps > kMaxReversalSteps) return Reversal::kTooMany;
  if (i == search.count) {
    if (at != search.text.size()) return Reversal::kAll;
    return search.visit(search.values, search.context) ? Reversal::kAll : Reversal::kStopped;
  }
  const ReversePart& part = search.parts[i];
  const bool is_literal = part.column < 0;
  if (is_literal || search.known[part.column]) {
    const std::string_view piece = is_literal ? part.literal : search.values[part.column];
    return HasAt(search.text, at, piece) ? Match(search, i + 1, at + piece.size()) : Reversal::kAll;
  }
  const bool is_last = i + 1 == search.count;
  search.known[part.column] = true;
  Reversal result = Reversal::kAll;
  for (size_t end = is_last ? search.text.size() : at; end <= search.text.size(); ++end) {
    search.values[part.column] = Part(search.text, at, end - at);
    // What has to follow is looked at here, so that only places where it does cost a step.
    if (!is_last && search.parts[i + 1].column < 0 && !HasAt(search.text, end, search.parts[i + 1].literal)) continue;
    result = Match(search, i + 1, end);
    if (result != Reversal::kAll) break;
  }
  search.known[part.column] = false;
  return result;
}

}  // namespace

Reversal ReverseTemplate(const ReversePart* parts, int count, std::string_view text, ReversalVisitor visit,
                         void* context) {
  Search search = {};
  search.parts = parts;
  search.count = count;
  search.text = text;
  search.visit = visit;
  search.context = context;
  return Match(search, 0, 0);
}

bool TemplateCanRender(const TextTemplate& parsed, std::string_view text) {
  ReversePart parts[kMaxTemplateParts];
  Bytes literals[kMaxTemplateParts] = {};
  for (int i = 0; i < parsed.count; ++i) {
    if (!parsed.parts[i].is_column) {
      AppendLiteral(literals[i], parsed.parts[i].text);
      parts[i] = {-1, literals[i].view()};
      continue;
    }
    int column = i;
    for (int j = 0; j < i; ++j) {
      if (parsed.parts[j].is_column && parsed.parts[j].text == parsed.parts[i].text) {
        column = parts[j].column;
        break;
      }
    }
    parts[i] = {column, {}};
  }
  const auto stop = [](const std::string_view*, void*) { return false; };
  const bool can = ReverseTemplate(parts, parsed.count, text, stop, nullptr) != Reversal::kAll;
  for (int i = 0; i < parsed.count; ++i) literals[i].Free();
  return can;
}

}  // namespace oasync
