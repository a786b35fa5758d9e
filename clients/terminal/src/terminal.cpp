#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "escape.h"

namespace oasync::terminal {
namespace {

constexpr char kErase[] = "\r\x1b[K";

const char* Sequence(Colour colour) {
  switch (colour) {
    case Colour::kDim:
      return "\x1b[2m";
    case Colour::kBold:
      return "\x1b[1m";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kCyan:
      return "\x1b[36m";
    case Colour::kPlain:
      break;
  }
  return "";
}

bool UnderstandsSequences() {
  const char* term = getenv("TERM");
  return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

void WriteLine(std::string_view text) { fprintf(stderr, "oa-sync: %s\n", EscapeForTerminal(text).c_str()); }

}  // namespace

std::string Painter::operator()(Colour colour, std::string_view text) const {
  if (!on_ || colour == Colour::kPlain || text.empty()) return std::string(text);
  return Sequence(colour) + std::string(text) + "\x1b[0m";
}

bool IsTerminal(int fd) { return isatty(fd) == 1; }

bool WantsColour(ColourMode mode, int fd) {
  if (mode != ColourMode::kAuto) return mode == ColourMode::kAlways;
  const char* no_colour = getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return UnderstandsSequences() && IsTerminal(fd);
}

int TerminalWidth(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void Notices::Say(std::string_view text) {
  if (quiet_) return;
  ClearProgress();
  WriteLine(text);
}

void Notices::Mention(std::string_view text) {
  if (verbose_) Say(text);
}

bool Notices::shows_progress() const { return !quiet_ && UnderstandsSequences() && IsTerminal(STDERR_FILENO); }

void Notices::Progress(std::string_view text) {
  if (!shows_progress()) return;
  std::string line = EscapeForTerminal(text);
  const auto width = static_cast<size_t>(TerminalWidth(STDERR_FILENO));
  if (line.size() >= width) line.resize(width - 1);
  fprintf(stderr, "%s%s", kErase, line.c_str());
  fflush(stderr);
  progress_shown_ = true;
}

void Notices::ClearProgress() {
  if (!progress_shown_) return;
  fputs(kErase, stderr);
  fflush(stderr);
  progress_shown_ = false;
}

void SayError(std::string_view text) { WriteLine(text); }

}  // namespace oasync::terminal
