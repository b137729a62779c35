#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace adyton::cli {
namespace {

struct Flag {
  std::vector<std::string> spellings;  // "--memory", "-m"
  std::string description;
  bool takes_value = false;
};

std::vector<Flag> flags_of(const CLI::App& command) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : command.get_options()) {
    Flag flag{.spellings = {}, .description = option->get_description(), .takes_value = option->get_items_expected_max() > 0};
    for (const std::string& name : option->get_lnames()) flag.spellings.push_back("--" + name);
    for (const std::string& name : option->get_snames()) flag.spellings.push_back("-" + name);
    if (!flag.spellings.empty()) flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  std::vector<const CLI::App*> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) commands.push_back(command);
  }
  return commands;
}

// Whether its first argument is the name of a virtual machine that exists.
bool takes_name(const CLI::App& command) {
  return command.get_name() != "create" && command.get_option_no_throw("NAME") != nullptr;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

// Inside single quotes.
std::string quoted(const std::string& text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> names;
  std::string options;
  std::string values;
  std::vector<std::string> with_names;
  for (const CLI::App* command : commands_of(app)) {
    names.push_back(command->get_name());
    std::vector<std::string> all;
    std::vector<std::string> valued;
    for (const Flag& flag : flags_of(*command)) {
      all.insert(all.end(), flag.spellings.begin(), flag.spellings.end());
      if (flag.takes_value) valued.insert(valued.end(), flag.spellings.begin(), flag.spellings.end());
    }
    const std::string& name = command->get_name();
    options += fmt::format("    {}) options={} ;;\n", name, quoted(fmt::format("{}", fmt::join(all, " "))));
    if (!valued.empty())
      values += fmt::format("    {}) valued={} ;;\n", name, quoted(fmt::format(" {} ", fmt::join(valued, " "))));
    if (takes_name(*command)) with_names.push_back(name);
  }
  return fmt::format(R"sh(# Completion of adyton for bash.
_adyton() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} options= valued=
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W {} -- "$word"))
    return
  fi
  case $command in
{}  esac
  case $command in
{}  esac
  if [[ $valued == *" $before "* ]]; then
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  case $command in
    {})
      [[ $COMP_CWORD -eq 2 || $before == -* ]] && COMPREPLY=($(compgen -W "$(adyton list --names 2>/dev/null)" -- "$word")) ;;
    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")) ;;
  esac
  [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _adyton adyton
)sh",
                     quoted(fmt::format("{} --help --version", fmt::join(names, " "))), options, values,
                     fmt::join(with_names, "|"));
}

std::string zsh_script(const CLI::App& app) {
  const auto escaped = [](std::string text) { return replaced(replaced(std::move(text), "[", "\\["), "]", "\\]"); };
  std::string commands;
  std::string cases;
  for (const CLI::App* command : commands_of(app)) {
    const std::string& name = command->get_name();
    commands += fmt::format("    {}\n", quoted(fmt::format("{}:{}", name, replaced(command->get_description(), ":", "\\:"))));
    cases += fmt::format("    {})\n      _arguments -s", name);
    for (const Flag& flag : flags_of(*command)) {
      for (const std::string& spelling : flag.spellings) {
        const char* value = flag.takes_value ? ":value:_files" : "";
        cases += fmt::format(" \\\n        {}", quoted(fmt::format("*{}[{}]{}", spelling, escaped(flag.description), value)));
      }
    }
    if (takes_name(*command)) {
      cases += " \\\n        '1:virtual machine:_adyton_names'";
    } else if (name == "completion") {
      cases += " \\\n        '1:shell:(bash zsh fish)'";
    }
    cases += " \\\n        '*:file:_files'\n      ;;\n";
  }
  return fmt::format(R"sh(#compdef adyton
# Completion of adyton for zsh.
_adyton_names() {{
  local -a names
  names=(${{(f)"$(adyton list --names 2>/dev/null)"}})
  compadd -a names
}}
_adyton() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _adyton "$@"
else
  compdef _adyton adyton
fi
)sh",
                     commands, cases);
}

std::string fish_script(const CLI::App& app) {
  std::string script =
      "# Completion of adyton for fish.\n"
      "complete -c adyton -n __fish_use_subcommand -f\n";
  for (const CLI::App* command : commands_of(app)) {
    const std::string& name = command->get_name();
    script += fmt::format("complete -c adyton -n __fish_use_subcommand -a {} -d {}\n", name, quoted(command->get_description()));
    const std::string here = fmt::format("complete -c adyton -n '__fish_seen_subcommand_from {}'", name);
    for (const Flag& flag : flags_of(*command)) {
      script += here;
      for (const std::string& spelling : flag.spellings) {
        script += spelling.starts_with("--") ? " -l " + spelling.substr(2) : " -s " + spelling.substr(1);
      }
      script += fmt::format("{} -d {}\n", flag.takes_value ? " -r" : "", quoted(flag.description));
    }
    if (takes_name(*command)) script += here + " -f -a '(adyton list --names 2>/dev/null)'\n";
    if (name == "completion") script += here + " -f -a 'bash zsh fish'\n";
  }
  return script;
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash_script(app);
  if (shell == "zsh") return zsh_script(app);
  return fish_script(app);
}

}  // namespace adyton::cli
