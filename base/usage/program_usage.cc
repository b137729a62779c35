#include "base/usage/program_usage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>

namespace adyton::usage {
namespace {

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

// Inside single quotes, of every shell.
std::string quoted(const std::string& text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

bool is_choice(const Option& option) { return option.value.contains('|'); }
std::string choices(const Option& option) { return replaced(option.value, "|", " "); }
bool is_folder(const Option& option) { return option.value == "DIR"; }
bool is_file(const Option& option) { return option.value == "FILE" || option.value == "PROGRAM"; }

std::string entries(const std::vector<Option>& options, const char* font) {
  std::string text;
  for (const Option& option : options) {
    std::vector<std::string> names;
    for (const std::string& name : option.names) names.push_back(fmt::format("\\f{}{}\\fR", font, roff(name)));
    text += fmt::format(".TP\n{}", fmt::join(names, ", "));
    if (!option.value.empty()) text += fmt::format(" \\fI{}\\fR", roff(option.value));
    text += fmt::format("\n{}\n", roff(option.description));
  }
  return text;
}

std::string bash_script(const Program& program) {
  std::vector<std::string> all;
  std::string values;
  for (const Option& option : program.options) {
    all.insert(all.end(), option.names.begin(), option.names.end());
    if (option.value.empty()) continue;
    std::string how = "return";
    if (is_choice(option)) how = fmt::format("COMPREPLY=($(compgen -W {} -- \"$word\")); return", quoted(choices(option)));
    if (is_folder(option)) how = "COMPREPLY=($(compgen -d -- \"$word\")); return";
    if (is_file(option)) how = "COMPREPLY=($(compgen -f -- \"$word\")); return";
    values += fmt::format("    {}) {} ;;\n", fmt::join(option.names, "|"), how);
  }
  // bash makes three words of --option=value.
  return fmt::format(R"sh(# Completion of {0} for bash.
_{0}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  COMPREPLY=()
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  case $before in
{1}  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W {2} -- "$word"))
    return
  fi
{3}}}
complete -o filenames -F _{0} {0}
)sh",
                     program.name, values, quoted(fmt::format("{}", fmt::join(all, " "))),
                     program.arguments.empty() ? "" : "  COMPREPLY=($(compgen -f -- \"$word\"))\n");
}

std::string zsh_script(const Program& program) {
  std::string specs;
  for (const Option& option : program.options) {
    std::string action;
    if (!option.value.empty()) action = fmt::format(":{}:", replaced(option.value, ":", "\\:"));
    if (is_choice(option)) action += fmt::format("({})", choices(option));
    if (is_folder(option)) action += "_directories";
    if (is_file(option)) action += "_files";
    const std::string text = replaced(replaced(option.description, "[", "\\["), "]", "\\]");
    for (const std::string& name : option.names) {
      const bool joined = !option.value.empty() && name.starts_with("--");
      specs += fmt::format(" \\\n    {}", quoted(fmt::format("*{}{}[{}]{}", name, joined ? "=" : "", text, action)));
    }
  }
  if (!program.arguments.empty()) specs += " \\\n    '*:file:_files'";
  return fmt::format(R"sh(#compdef {0}
# Completion of {0} for zsh.
_{0}() {{
  _arguments -s{1}
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _{0} "$@"
else
  compdef _{0} {0}
fi
)sh",
                     program.name, specs);
}

std::string fish_script(const Program& program) {
  std::string script = fmt::format("# Completion of {} for fish.\n", program.name);
  if (program.arguments.empty()) script += fmt::format("complete -c {} -f\n", program.name);
  for (const Option& option : program.options) {
    script += "complete -c " + program.name;
    for (const std::string& name : option.names)
      script += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (is_choice(option)) {
      script += fmt::format(" -x -a {}", quoted(choices(option)));
    } else if (is_folder(option)) {
      script += " -x -a '(__fish_complete_directories)'";
    } else if (!option.value.empty()) {
      script += is_file(option) ? " -r -F" : " -x";
    }
    script += fmt::format(" -d {}\n", quoted(option.description));
  }
  return script;
}

}  // namespace

std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string manual_page(const Program& program) {
  const std::string name = roff(program.name);
  std::string text =
      fmt::format(".TH {} {} \"\" Adyton \"{}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n", name, program.section,
                  program.section == 1 ? "User Commands" : "System Administration", name, roff(program.description));
  for (size_t i = 0; i < program.forms.size(); ++i) {
    const std::string& form = program.forms[i];
    const size_t space = std::min(form.find(' '), form.size());
    text += fmt::format("{}\\fB{}\\fR{}\n", i == 0 ? "" : ".br\n", roff(form.substr(0, space)), roff(form.substr(space)));
  }
  if (!program.arguments.empty()) text += ".SH ARGUMENTS\n" + entries(program.arguments, "I");
  if (!program.options.empty()) text += ".SH OPTIONS\n" + entries(program.options, "B");
  if (!program.notes.empty()) text += ".SH NOTES\n" + roff(program.notes) + "\n";
  return text + ".SH SEE ALSO\n\\fBadyton\\fR(1)\n";
}

std::string completion_script(const Program& program, std::string_view shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  return fish_script(program);
}

Result<void> write_files(const Program& program, const std::string& directory) {
  const auto write = [&](const std::string& name, const std::string& text) -> Result<void> {
    const std::string path = directory + "/" + name;
    if (!(std::ofstream(path) << text << std::flush)) return fail_errno("cannot write " + path);
    return {};
  };
  TRY(write(fmt::format("{}.{}", program.name, program.section), manual_page(program)));
  for (const char* shell : {"bash", "zsh", "fish"}) TRY(write(shell, completion_script(program, shell)));
  return {};
}

}  // namespace adyton::usage
