#include "finding.h"

#include <algorithm>

#include "escape.h"

namespace oasync::terminal {
namespace {

const char* NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kProblem:
      return "problem";
    case Verdict::kSkipped:
      return "skipped";
  }
  return "";
}

Colour ColourOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return Colour::kGreen;
    case Verdict::kWarning:
      return Colour::kYellow;
    case Verdict::kProblem:
      return Colour::kRed;
    case Verdict::kSkipped:
      return Colour::kDim;
  }
  return Colour::kPlain;
}

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

std::string Counted(size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

size_t Findings::Count(Verdict verdict) const {
  return static_cast<size_t>(
      std::count_if(all_.begin(), all_.end(), [verdict](const Finding& one) { return one.verdict == verdict; }));
}

nlohmann::json Findings::ToJson() const {
  nlohmann::json results = nlohmann::json::array();
  for (const Finding& one : all_) {
    nlohmann::json result = {{"check", one.check}, {"verdict", NameOf(one.verdict)}, {"what", one.what}};
    if (!one.todo.empty()) result["todo"] = one.todo;
    results.push_back(std::move(result));
  }
  return {
      {"results", std::move(results)}, {"problems", Count(Verdict::kProblem)}, {"warnings", Count(Verdict::kWarning)}};
}

std::string Findings::ToText(const Painter& paint) const {
  // Checks of what a fan-out reports have names that it chose.
  size_t width = 0;
  for (const Finding& one : all_) width = std::max(width, EscapeForTerminal(one.check).size());
  std::string text;
  for (const Finding& one : all_) {
    text += paint(ColourOf(one.verdict), Padded(NameOf(one.verdict), 7)) + "  " +
            Padded(EscapeForTerminal(one.check), width) + "  " + EscapeForTerminal(one.what) + "\n";
    if (!one.todo.empty()) text += std::string(9 + width + 2, ' ') + "-> " + EscapeForTerminal(one.todo) + "\n";
  }
  return text + Counted(Count(Verdict::kProblem), "problem") + ", " + Counted(Count(Verdict::kWarning), "warning") +
         "\n";
}

}  // namespace oasync::terminal
