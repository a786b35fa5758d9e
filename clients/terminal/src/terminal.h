// Terminal: whether somebody looks, and how to say it to them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync::terminal {

enum class ColourMode : uint8_t { kAuto, kAlways, kNever };

enum class Colour : uint8_t { kPlain, kDim, kBold, kRed, kGreen, kYellow, kCyan };

// Colours text, or leaves it as it is.
class Painter {
 public:
  explicit Painter(bool on) : on_(on) {}
  std::string operator()(Colour colour, std::string_view text) const;
  bool on() const { return on_; }

 private:
  bool on_;
};

bool IsTerminal(int fd);

// Whether to colour what goes to `fd`. With kAuto: on a terminal, unless NO_COLOR is set to anything or TERM is "dumb"
// or empty (https://no-color.org).
bool WantsColour(ColourMode mode, int fd);

// Columns of the terminal at `fd`; 80 when it does not say.
int TerminalWidth(int fd);

// Notices go to stderr, one line each, with "oa-sync: " in front; strangers' text in them is escaped. They are not
// data: --quiet turns them off, errors that end the program are always said.
class Notices {
 public:
  Notices(bool quiet, bool verbose) : quiet_(quiet), verbose_(verbose) {}

  void Say(std::string_view text);      // unless --quiet
  void Mention(std::string_view text);  // with --verbose only
  // One line that is written over by the next; only when stderr is a terminal that
  // understands that.
  void Progress(std::string_view text);
  // Takes the line of Progress away.
  void ClearProgress();

  bool shows_progress() const;

 private:
  const bool quiet_;
  const bool verbose_;
  bool progress_shown_ = false;
};

// The line that says why the program ends.
void SayError(std::string_view text);

}  // namespace oasync::terminal
