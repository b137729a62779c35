#include "cli/words.h"

#include <CLI/CLI.hpp>

namespace adyton::cli {

size_t option_length(const CLI::App& command, const std::string& argument) {
  const auto takes_value = [](const CLI::Option* option) { return option->get_items_expected_max() > 0; };
  if (argument.starts_with("--")) {
    const size_t equals = argument.find('=');
    const CLI::Option* option = command.get_option_no_throw(argument.substr(0, equals));
    if (option == nullptr) return 0;
    return takes_value(option) && equals == std::string::npos ? 2 : 1;
  }
  for (size_t i = 1; i < argument.size(); ++i) {
    const CLI::Option* option = command.get_option_no_throw(std::string("-") + argument[i]);
    if (option == nullptr) return 0;
    if (takes_value(option)) return i + 1 == argument.size() ? 2 : 1;  // the rest of a cluster is the value
  }
  return 1;
}

std::vector<std::string> split_command(const CLI::App& command, std::vector<std::string>& arguments, size_t names) {
  size_t at = 1;  // behind the command's name
  size_t skip = 0;
  while (at < arguments.size()) {
    const std::string& argument = arguments[at];
    if (argument == "--") {
      skip = 1;
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      if (names == 0) break;
      --names;
      ++at;
      continue;
    }
    const size_t length = option_length(command, argument);
    if (length == 0) return {};
    at += length;
  }
  if (at >= arguments.size()) return {};
  std::vector<std::string> cut(arguments.begin() + static_cast<ptrdiff_t>(at + skip), arguments.end());
  arguments.resize(at);
  return cut;
}

}  // namespace adyton::cli
