// Values by their plain text: the way back of AppendPlainValue(), for looking documents up by index.
#pragma once

#include "value_json.h"

namespace oasync {

// Whether values of this kind can be looked up: text that is none of its values is told from text that is, without an
// ERROR, and `=` finds every value of that text.
bool CanLookUp(const ValueWriter& writer);

// The value that has this plain text (server's encoding), and the type to compare it as. False when none has. The
// value found may have another plain text (`042` is the integer 42): whoever asks renders it again.
// REQUIRES CanLookUp(writer).
bool ValueFromText(const ValueWriter& writer, std::string_view text, Datum* value, Oid* type);

}  // namespace oasync
