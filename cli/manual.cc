#include "cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <vector>

#include "base/usage/program_usage.h"
#include "cli/command_line.h"
#include "cli/usage.h"

namespace adyton::cli {
namespace {

using usage::roff;

std::string spelled(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("\\fB" + roff("-" + name) + "\\fR");
  for (const std::string& name : option.get_lnames()) names.push_back("\\fB" + roff("--" + name) + "\\fR");
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (names.empty())
    text = "\\fI" + roff(option.get_name()) + "\\fR";
  else if (option.get_items_expected_max() > 0)
    text += " \\fI" + roff(option.get_type_name()) + "\\fR";
  return text;
}

std::string options_of(const CLI::App& command) {
  std::string arguments;
  std::string options;
  for (const CLI::Option* option : command.get_options()) {
    std::string description = roff(option->get_description());
    if (!option->get_default_str().empty() && option->get_items_expected_max() > 0)
      description += roff(fmt::format(" (otherwise: {})", option->get_default_str()));
    const bool positional = option->get_lnames().empty() && option->get_snames().empty();
    (positional ? arguments : options) += fmt::format(".TP\n{}\n{}\n", spelled(*option), description);
  }
  return (arguments.empty() ? "" : ".SH ARGUMENTS\n" + arguments) + (options.empty() ? "" : ".SH OPTIONS\n" + options);
}

std::string synopsis(const CLI::App& command, const std::string& name) {
  if (name == "adyton") return "\\fBadyton\\fR [\\fIOPTION\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n";
  std::string text;
  for (const std::string& form : usage_of(command)) {
    const size_t space = std::min(form.find(' '), form.size());
    text += fmt::format("{}\\fBadyton {}\\fR{}\n", text.empty() ? "" : ".br\n", roff(form.substr(0, space)),
                        roff(form.substr(space)));
  }
  return text;
}

std::string page(const CLI::App& command, const std::string& name, const std::string& description) {
  std::string text =
      fmt::format(".TH {} 1 \"\" Adyton \"User Commands\"\n.SH NAME\n{} \\- {}\n", roff(name), roff(name), roff(description));
  return text + ".SH SYNOPSIS\n" + synopsis(command, name) + options_of(command);
}

}  // namespace

std::map<std::string, std::string> manual_pages(const CLI::App& app) {
  std::map<std::string, std::string> pages;
  std::string main = page(app, "adyton", app.get_description()) + ".SH COMMANDS\n";
  std::string others;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    const std::string name = "adyton-" + command->get_name();
    main += fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", roff(name), roff(command->get_description()));
    std::string text = page(*command, name, command->get_description());
    if (!command->get_footer().empty()) text += ".SH NOTES\n.nf\n" + roff(command->get_footer()) + "\n.fi\n";
    pages[name + ".1"] = text + ".SH SEE ALSO\n\\fBadyton\\fR(1)\n";
  }
  pages["adyton.1"] = main + ".SH NOTES\n" + roff(app.get_footer()) + "\n";
  return pages;
}

Result<void> write_manual(const std::string& directory) {
  Result<void> done;
  describe_command_line([&](const CLI::App& app) {
    for (const auto& [name, text] : manual_pages(app)) {
      const std::string path = directory + "/" + name;
      if (!(std::ofstream(path) << text << std::flush)) {
        done = fail_errno("cannot write " + path);
        return;
      }
    }
  });
  return done;
}

}  // namespace adyton::cli
