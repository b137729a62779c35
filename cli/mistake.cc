#include "cli/mistake.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "cli/words.h"

namespace adyton::cli {
namespace {

// How other programs of the field call what we do.
const std::map<std::string, std::string, std::less<>> kWordsOfOthers = {
    {"ps", "list"},       {"rm", "delete"},      {"remove", "delete"}, {"destroy", "delete"}, {"inspect", "info"},
    {"show", "info"},     {"attach", "console"}, {"shell", "exec"},    {"ssh", "exec"},       {"stats", "top"},
    {"pause", "suspend"}, {"unpause", "resume"}, {"up", "start"},      {"down", "stop"},      {"poweroff", "stop"},
    {"pull", "cp"},       {"push", "cp"},        {"copy", "cp"},       {"log", "logs"},       {"debug", "gdb"},
};

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The first option that `command` does not have; "" if there is none. What stands behind "--" is no option.
std::string unknown_option(const CLI::App& command, const std::vector<std::string>& arguments) {
  for (size_t at = 0; at < arguments.size() && arguments[at] != "--";) {
    const std::string& argument = arguments[at];
    const bool option = argument.size() > 1 && argument[0] == '-';
    const size_t length = option ? option_length(command, argument) : 1;
    if (length == 0) return argument.substr(0, argument.find('='));
    at += length;
  }
  return "";
}

std::string or_was_it(const std::string& other) { return other.empty() ? "" : fmt::format("; did you mean '{}'?", other); }

// What CLI11 says without its line ends.
std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

// "Could not convert: --smp = x" and "--smp: 1 required N missing", in words.
std::string about_value(const CLI::App& command, const CLI::ParseError& error) {
  const std::string text = first_line(error.what());
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    const std::string wanted = option->get_type_name().empty() ? "value" : option->get_type_name();
    if (text.starts_with(name + ": ") && text.ends_with(" missing")) return fmt::format("{} needs a {}", name, wanted);
    if (const std::string start = "Could not convert: " + name + " = "; text.starts_with(start))
      return fmt::format("'{}' is no value for {}, which takes a number ({})", text.substr(start.size()), name, wanted);
  }
  return text;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  // Damerau and Levenshtein's distance (without moves across each other): what is left out, put in, taken for another, or swapped
  // with its neighbour.
  const auto distance = [&](std::string_view other) {
    std::vector<std::vector<size_t>> d(word.size() + 1, std::vector<size_t>(other.size() + 1));
    for (size_t i = 0; i <= word.size(); ++i) d[i][0] = i;
    for (size_t j = 0; j <= other.size(); ++j) d[0][j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      for (size_t j = 1; j <= other.size(); ++j) {
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (word[i - 1] == other[j - 1] ? 0 : 1)});
        if (i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1])
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
    return d[word.size()][other.size()];
  };
  std::string best;
  // A third of the letters may be wrong, and never more than three: a longer word would cost time, and be no slip.
  size_t least = std::min<size_t>(word.size() / 3 + 1, 3) + 1;
  if (word.size() > 64) return best;
  for (const std::string& other : known) {
    if (const size_t d = distance(other); d < least) {
      least = d;
      best = other;
    }
  }
  return best;
}

std::string describe_mistake(const CLI::App& app, const std::vector<std::string>& arguments, const CLI::ParseError& error) {
  const auto parsed = app.get_subcommands();
  const CLI::App& command = parsed.empty() ? app : *parsed.front();
  const std::string name = parsed.empty() ? app.get_name() : fmt::format("{} {}", app.get_name(), command.get_name());
  const std::string see = fmt::format(" (see '{} --help')", name);
  if (const std::string option = unknown_option(command, arguments); !option.empty()) {
    return fmt::format("'{}' is no option of '{}'{}{}", option, name,
                       or_was_it(option.starts_with("--") ? nearest(option, options_of(command)) : ""), see);
  }
  if (parsed.empty()) {
    const auto word = std::ranges::find_if(arguments, [](const std::string& argument) { return !argument.starts_with('-'); });
    if (word == arguments.end()) return fmt::format("say what to do: a command is missing{}", see);
    const auto known = kWordsOfOthers.find(*word);
    return fmt::format("'{}' is no command of '{}'{}{}", *word, name,
                       or_was_it(known != kWordsOfOthers.end() ? known->second : nearest(*word, commands_of(app))), see);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    // As they stand in the command line, which may have what is not too many, too.
    const std::vector<std::string> extra = app.remaining(/*recurse=*/true);
    if (!extra.empty()) return fmt::format("'{}' is too much for '{}'{}", extra.front(), name, see);
  }
  return about_value(command, error) + see;
}

}  // namespace adyton::cli
