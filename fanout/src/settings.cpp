#include "settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <sstream>

namespace oasync {
namespace {

// CLI11 options carry validators by name; these say what a setting is like. The last three refuse nothing.
constexpr char kRange[] = "range";
constexpr char kChoice[] = "choice";
constexpr char kRequired[] = "required";
constexpr char kSecret[] = "secret";
constexpr char kReread[] = "reread";
// What CLI11 calls the default of a list that is empty.
constexpr char kNoList[] = "[]";

const CLI::Validator* Find(CLI::Option* option, const char* name) {
  try {
    return option->get_validator(name);
  } catch (const CLI::OptionNotFound&) {
    return nullptr;
  }
}

CLI::Option* Mark(CLI::Option* option, const char* mark) {
  return option->check([](const std::string&) { return std::string(); }, "", mark);
}

std::string Join(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts.begin(), parts.end(), ", "));
}

// What the option's value may be and is by default, in one line; what it means below it, in lines of whole words.
class ReadableFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return {};
    const std::string type = option->get_type_name();
    const size_t range = type.find(':');
    std::vector<std::string> parts;
    if (range != std::string::npos) parts.push_back(type.substr(range + 1));
    if (!option->get_default_str().empty() && option->get_default_str() != kNoList) {
      parts.push_back("default " + option->get_default_str());
    }
    if (!option->get_envname().empty()) parts.push_back(option->get_envname());
    return parts.empty() ? "" : fmt::format(" ({})", fmt::join(parts.begin(), parts.end(), "; "));
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    constexpr size_t kLine = 96;
    std::istringstream words(option->get_description());
    std::string text;
    std::string word;
    size_t column = 0;
    while (words >> word) {
      if (column > 0 && column + 1 + word.size() > kLine) {
        text.push_back('\n');
        column = 0;
      }
      if (column > 0) text.push_back(' ');
      column += word.size() + (column > 0 ? 1 : 0);
      text.append(word);
    }
    return text;
  }
};

// A cell of a Markdown table.
std::string Cell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '<') {
      cell += "&lt;";
    } else {
      if (c == '|') cell.push_back('\\');
      cell.push_back(c);
    }
  }
  return cell;
}

std::string DefaultCell(const Setting& setting) {
  if (setting.is_required) return "required";
  if (setting.default_value.empty()) return "none";
  // A default in words, such as `one per core`, is no value to be typed.
  const bool in_words = setting.default_value.find(' ') != std::string::npos;
  return setting.is_number || in_words ? setting.default_value : "`" + setting.default_value + "`";
}

}  // namespace

std::string EnvironmentName(const std::string& flag) {
  std::string name = "OA_SYNC_";
  for (const char c : flag.substr(2)) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

CLI::Validator NumberFrom(int64_t low, int64_t high) {
  CLI::Validator range = CLI::Range(low, high);
  range.name(kRange).description(fmt::format("{} to {}", low, high));
  return range;
}

CLI::Validator OneOf(const std::vector<std::string>& choices) {
  CLI::Validator member = CLI::IsMember(choices);
  member.name(kChoice).description(Join(choices));
  return member;
}

CLI::Option* Required(CLI::Option* option) { return Mark(option, kRequired); }
CLI::Option* Secret(CLI::Option* option) { return Mark(option, kSecret); }
CLI::Option* Reread(CLI::Option* option) { return Mark(option, kReread); }

void UseReadableHelp(CLI::App* app) {
  constexpr size_t kIndent = 6;
  auto formatter = std::make_shared<ReadableFormatter>();
  formatter->column_width(kIndent);
  app->formatter(formatter);
}

std::vector<Setting> DescribeSettings(CLI::App* app) {
  std::vector<Setting> settings;
  for (CLI::Option* option : app->get_options([](const CLI::Option* one) { return !one->get_envname().empty(); })) {
    Setting setting;
    setting.name = option->get_name();
    setting.environment = option->get_envname();
    setting.group = option->get_group();
    setting.meaning = option->get_description();
    setting.default_value = option->get_default_str();
    if (setting.default_value.rfind('[', 0) == 0) {  // CLI11's form of a list
      setting.default_value = setting.default_value.substr(1, setting.default_value.size() - 2);
    }
    setting.is_required = Find(option, kRequired) != nullptr;
    setting.is_secret = Find(option, kSecret) != nullptr;
    setting.is_reread = Find(option, kReread) != nullptr;
    if (const CLI::Validator* range = Find(option, kRange)) {
      setting.is_number = true;
      setting.range = range->get_description();
    } else if (const CLI::Validator* choice = Find(option, kChoice)) {
      setting.range = choice->get_description();
    }
    setting.value = option->results().empty() ? setting.default_value : Join(option->results());
    if (setting.is_secret && !setting.value.empty()) setting.value = "set";
    settings.push_back(std::move(setting));
  }
  return settings;
}

std::string SettingsAsJson(const std::vector<Setting>& settings) {
  const auto value_of = [](const Setting& setting, const std::string& text) -> nlohmann::json {
    if (text.empty()) return nullptr;
    if (setting.is_number && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); })) {
      return std::stoll(text);
    }
    return text;
  };
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Setting& setting : settings) {
    list.push_back({{"name", setting.name},
                    {"environment", setting.environment},
                    {"file", setting.name.substr(2)},
                    {"group", setting.group},
                    {"default", value_of(setting, setting.default_value)},
                    {"range", setting.range},
                    {"reload", setting.is_reread ? "SIGHUP" : "restart"},
                    {"required", setting.is_required},
                    {"secret", setting.is_secret},
                    {"value", value_of(setting, setting.value)},
                    {"meaning", setting.meaning}});
  }
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string SettingsAsMarkdown(const std::vector<Setting>& settings) {
  std::vector<std::string> groups;
  for (const Setting& setting : settings) {
    if (std::find(groups.begin(), groups.end(), setting.group) == groups.end()) groups.push_back(setting.group);
  }
  std::string text;
  for (const std::string& group : groups) {
    text += fmt::format("{}## {}\n\n| setting | default | range | reload | meaning |\n|---|---|---|---|---|\n",
                        text.empty() ? "" : "\n", group);
    for (const Setting& setting : settings) {
      if (setting.group != group) continue;
      text += fmt::format("| `{}` | {} | {} | {} | {} |\n", setting.name, Cell(DefaultCell(setting)),
                          Cell(setting.range), setting.is_reread ? "SIGHUP" : "restart", Cell(setting.meaning));
    }
  }
  return text;
}

std::string ChangedSettings(const std::vector<Setting>& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    if (setting.value == setting.default_value) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", setting.name, setting.value);
  }
  return text;
}

}  // namespace oasync
