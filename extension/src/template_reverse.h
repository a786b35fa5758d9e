// Templates read backwards: which column values can have made a text?
//
// `run:{run_id}:events` and `run:42:events` give run_id = "42". A template can be ambiguous (`{a}:{b}` and `x:y:z`):
// then every way is given, so what is found by the values has to be rendered again to be sure. Knows nothing of
// PostgreSQL; views point into the text.
#pragma once

#include "text_template.h"

namespace oasync {

// A part of a template as the reversal sees it: a column (0, 1, 2, ...; the same column has the same number wherever
// it stands) or, when column is negative, a literal with its braces made single.
struct ReversePart {
  int column;
  std::string_view literal;
};

// Called for each way with the text of each column, by its number. False ends the reversal.
using ReversalVisitor = bool (*)(const std::string_view* values, void* context);

enum class Reversal {
  kAll,      // every way was visited, perhaps none
  kTooMany,  // there are more ways, or more steps to find them, than the limit
  kStopped,  // the visitor said so
};

// Steps that one reversal may take: bounds the time that a hostile text with an ambiguous template costs.
constexpr int kMaxReversalSteps = 20000;

// Visits every assignment of the columns that renders `text`. At most kMaxTemplateParts parts.
Reversal ReverseTemplate(const ReversePart* parts, int count, std::string_view text, ReversalVisitor visit,
                         void* context);

// Whether the template can render the text at all (values of columns taken as any text, also an empty one).
// True also when that would take too many steps to know.
bool TemplateCanRender(const TextTemplate& parsed, std::string_view text);

}  // namespace oasync
