// How a setting is defined, and what is made of the definitions: --help, the names in the environment and in the
// configuration file, --print-settings, the oa_sync_setting metric, and the tables of docs/operations/settings.md.
//
// A definition is one Add or AddNumber in config.cpp: flag, place in Config (whose initial value is the default),
// range, meaning, group. CLI11's option holds all of it; nothing here has a second list.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace oasync {

// One setting, described and as it is in effect.
struct Setting {
  std::string name;         // "--max-frame-bytes"
  std::string environment;  // "OA_SYNC_MAX_FRAME_BYTES"
  std::string group;
  std::string default_value;  // empty: none
  std::string range;          // "1 to 64", "auto, journal"; empty: any text
  std::string meaning;
  std::string value;  // in effect; empty: none. Of a secret one only whether it is set
  bool is_number = false;
  bool is_required = false;
  bool is_secret = false;
  bool is_reread = false;  // SIGHUP reads anew what it names; else a change takes a restart
};

// "--max-frame-bytes" is OA_SYNC_MAX_FRAME_BYTES in the environment.
std::string EnvironmentName(const std::string& flag);

template <typename T>
CLI::Option* Add(CLI::App* app, const char* flag, T& value, const std::string& text, const char* group) {
  return app->add_option(flag, value, text)->capture_default_str()->envname(EnvironmentName(flag))->group(group);
}

// Refuses what is not an integer from low to high.
CLI::Validator NumberFrom(int64_t low, int64_t high);

template <typename T>
CLI::Option* AddNumber(CLI::App* app, const char* flag, T& value, int64_t low, int64_t high, const std::string& text,
                       const char* group) {
  return Add(app, flag, value, text, group)->check(NumberFrom(low, high));
}

// Refuses what is none of these.
CLI::Validator OneOf(const std::vector<std::string>& choices);

// What else there is to say about a setting; each goes around its Add.
CLI::Option* Required(CLI::Option* option);  // said only: who needs it checks it
CLI::Option* Secret(CLI::Option* option);    // its value is shown nowhere
CLI::Option* Reread(CLI::Option* option);    // SIGHUP reads anew what it names

// --help with lines of a length that can be read.
void UseReadableHelp(CLI::App* app);

// Every setting with an environment name, in the order of definition. After parsing, with the values in effect.
std::vector<Setting> DescribeSettings(CLI::App* app);

// Every setting as a JSON list, or as the tables of docs/operations/settings.md.
std::string SettingsAsJson(const std::vector<Setting>& settings);
std::string SettingsAsMarkdown(const std::vector<Setting>& settings);
// "--a 1, --b x": those that differ from their default; empty when none does.
std::string ChangedSettings(const std::vector<Setting>& settings);

}  // namespace oasync
