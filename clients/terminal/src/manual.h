// The manual page oa-sync(1): its options are made from the definitions of the command line, the rest is here.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace oasync::terminal {

std::string MakeManual(const CLI::App& app);

}  // namespace oasync::terminal
