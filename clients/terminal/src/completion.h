// Completions of shells, made from the definitions of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace oasync::terminal {

// Of bash, zsh or fish.
std::string MakeCompletion(const CLI::App& app, const std::string& shell);

}  // namespace oasync::terminal
