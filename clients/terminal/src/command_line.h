// The command line: every command and option, defined once. --help, the completions and the manual are made from it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "options.h"

namespace oasync::terminal {

struct CommandLineResult {
  std::optional<Options> options;  // none: the program ends with exit_code
  int exit_code = 0;               // 0 after --help and --version, 2 when something is wrong
  std::string message;             // for stdout when exit_code is 0, else for stderr
};

CommandLineResult ReadCommandLine(int argc, const char* const* argv);

// The definitions alone; parsing writes to *options, which must outlive the app.
std::unique_ptr<CLI::App> DefineCommandLine(Options* options);

// Whether an option is part of what users see.
bool IsShown(const CLI::Option& option);

}  // namespace oasync::terminal
