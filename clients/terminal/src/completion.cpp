#include "completion.h"

#include <vector>

#include "command_line.h"

namespace oasync::terminal {
namespace {

struct Word {
  std::string name;  // "--since"
  std::string what;  // its first sentence
  bool takes_value = false;
  bool takes_file = false;
  std::vector<std::string> choices;
};

// What is known of an option's values.
std::vector<std::string> ChoicesOf(const std::string& name) {
  if (name == "--color") return {"auto", "always", "never"};
  if (name == "--op") return {"upsert", "delete", "truncate"};
  if (name == "--since") return {"now", "beginning", "10m"};
  if (name == "--log-format") return {"text", "json"};
  return {};
}

// Of a command's first argument.
std::string ArgumentsOf(const std::string& command) {
  if (command == "completion") return "bash zsh fish";
  if (command == "parity") return "audit run gate status";
  return {};
}

std::string FirstSentence(const std::string& text) {
  const size_t end = text.find_first_of(".:;,(");
  std::string sentence = text.substr(0, end);
  while (!sentence.empty() && sentence.back() == ' ') sentence.pop_back();
  return sentence;
}

std::vector<Word> WordsOf(const CLI::App& app) {
  std::vector<Word> words;
  for (const CLI::Option* option : app.get_options()) {
    if (!IsShown(*option) || option->get_positional()) continue;
    const auto add = [&](const std::string& name) {
      const bool takes_value = option->get_items_expected_max() > 0;
      words.push_back({name, FirstSentence(option->get_description()), takes_value,
                       takes_value && option->get_type_name() == "FILE", ChoicesOf(name)});
    };
    for (const std::string& name : option->get_lnames()) add("--" + name);
    for (const std::string& name : option->get_snames()) add("-" + name);
  }
  return words;
}

std::vector<const CLI::App*> Commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text;
}

// Inside single quotes, of every one of the shells.
std::string Quote(std::string text) {
  for (size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

std::string NamesOf(const std::vector<Word>& words) {
  std::string names;
  for (const Word& word : words) {
    if (word.name.size() > 2) names += (names.empty() ? "" : " ") + word.name;
  }
  return names;
}

std::string Bash(const CLI::App& app) {
  const std::vector<Word> common = WordsOf(app);
  std::string commands;
  std::string cases;
  std::string files;
  std::string values;
  std::string choices;
  const auto learn = [&](const std::vector<Word>& words) {
    for (const Word& word : words) {
      std::string* list = word.takes_file ? &files : &values;
      if (!word.choices.empty()) {
        const std::string line =
            "    " + word.name + ") COMPREPLY=($(compgen -W '" + Join(word.choices) + "' -- \"$cur\")); return ;;\n";
        if (choices.find(line) == std::string::npos) choices += line;
      } else if (word.takes_value && ("|" + *list + "|").find("|" + word.name + "|") == std::string::npos) {
        *list += (list->empty() ? "" : "|") + word.name;
      }
    }
  };
  learn(common);
  for (const CLI::App* command : Commands(app)) {
    commands += (commands.empty() ? "" : " ") + command->get_name();
    const std::vector<Word> words = WordsOf(*command);
    learn(words);
    cases += "    " + command->get_name() + ") words='" + NamesOf(words) +
             (ArgumentsOf(command->get_name()).empty() ? "" : " " + ArgumentsOf(command->get_name())) + "' ;;\n";
  }
  return "# bash completion of oa-sync; made by: oa-sync completion bash\n"
         "_oa_sync() {\n"
         "  local cur prev command words i\n"
         "  COMPREPLY=()\n"
         "  cur=${COMP_WORDS[COMP_CWORD]}\n"
         "  prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  case $prev in\n" +
         choices + "    " + files + ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n    " + values +
         ") return ;;\n"
         "  esac\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case ${COMP_WORDS[i]} in\n"
         "      " +
         [&] {
           std::string pattern = commands;
           for (char& c : pattern) c = c == ' ' ? '|' : c;
           return pattern;
         }() +
         ") command=${COMP_WORDS[i]}; break ;;\n"
         "    esac\n"
         "  done\n"
         "  case $command in\n" +
         cases + "    *) words='" + commands +
         "' ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words " +
         NamesOf(common) +
         "\" -- \"$cur\"))\n"
         "}\n"
         "complete -o filenames -o bashdefault -F _oa_sync oa-sync\n";
}

// A description inside an _arguments specification.
std::string ZshText(std::string text) {
  for (const char* special : {"[", "]", ":"}) {
    for (size_t at = 0; (at = text.find(special, at)) != std::string::npos; at += 2) text.insert(at, "\\");
  }
  return text;
}

std::string ZshSpec(const Word& word) {
  std::string spec = word.name + "[" + ZshText(word.what) + "]";
  if (word.takes_file) {
    spec += ":file:_files";
  } else if (!word.choices.empty()) {
    spec += ":value:(" + Join(word.choices) + ")";
  } else if (word.takes_value) {
    spec += ":value:";
  }
  return Quote(spec);
}

std::string Zsh(const CLI::App& app) {
  std::string commands;
  std::string cases;
  std::string common;
  for (const Word& word : WordsOf(app)) common += " \\\n    " + ZshSpec(word);
  for (const CLI::App* command : Commands(app)) {
    commands += "    " + Quote(command->get_name() + ":" + ZshText(FirstSentence(command->get_description()))) + "\n";
    cases += "    " + command->get_name() + ") _arguments";
    for (const Word& word : WordsOf(*command)) cases += " \\\n      " + ZshSpec(word);
    if (const std::string arguments = ArgumentsOf(command->get_name()); !arguments.empty()) {
      cases += " \\\n      '1:argument:(" + arguments + ")'";
    }
    cases += " ;;\n";
  }
  return "#compdef oa-sync\n"
         "# zsh completion of oa-sync; made by: oa-sync completion zsh\n"
         "_oa_sync() {\n"
         "  local context state line curcontext=$curcontext\n"
         "  local -a commands\n"
         "  commands=(\n" +
         commands +
         "  )\n"
         "  _arguments -C" +
         common +
         " \\\n    '1:command:->command' '*::argument:->argument'\n"
         "  case $state in\n"
         "    command) _describe command commands ;;\n"
         "    argument) case $words[1] in\n" +
         cases +
         "    esac ;;\n"
         "  esac\n"
         "}\n"
         "_oa_sync \"$@\"\n";
}

std::string FishLine(const std::string& condition, const Word& word) {
  std::string line = "complete -c oa-sync" + condition;
  line += word.name.size() == 2 ? " -s " + word.name.substr(1) : " -l " + word.name.substr(2);
  if (word.takes_value) line += word.takes_file ? " -rF" : " -x";
  if (!word.choices.empty()) line += " -a " + Quote(Join(word.choices));
  return line + " -d " + Quote(word.what) + "\n";
}

std::string Fish(const CLI::App& app) {
  std::string text = "# fish completion of oa-sync; made by: oa-sync completion fish\ncomplete -c oa-sync -f\n";
  for (const Word& word : WordsOf(app)) text += FishLine("", word);
  for (const CLI::App* command : Commands(app)) {
    text += "complete -c oa-sync -n __fish_use_subcommand -a " + command->get_name() + " -d " +
            Quote(FirstSentence(command->get_description())) + "\n";
    const std::string condition = " -n " + Quote("__fish_seen_subcommand_from " + command->get_name());
    if (const std::string arguments = ArgumentsOf(command->get_name()); !arguments.empty()) {
      text += "complete -c oa-sync" + condition + " -a " + Quote(arguments) + "\n";
    }
    for (const Word& word : WordsOf(*command)) text += FishLine(condition, word);
  }
  return text;
}

}  // namespace

std::string MakeCompletion(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return Bash(app);
  return shell == "zsh" ? Zsh(app) : Fish(app);
}

}  // namespace oasync::terminal
