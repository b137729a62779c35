// The words of a command line before the parser sees them. A payload and its arguments stand behind our own, and are never ours,
// whatever they look like: they are cut off here.
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace adyton::cli {

// How many words the option `argument` of `command` takes up, its value included; 0: it is no option of it.
size_t option_length(const CLI::App& command, const std::string& argument);

// Cuts the payload and its arguments off `arguments`, behind the command's name and `names` words that are no options. Nothing is
// cut off where an option is none of the command's: the parser says so.
std::vector<std::string> split_command(const CLI::App& command, std::vector<std::string>& arguments, size_t names);

}  // namespace adyton::cli
