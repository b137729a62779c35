// What is wrong with a command line, in one sentence for whoever typed it: the word that is meant, and what it may have been
// meant to be.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace adyton::cli {

// `arguments`: what `app`, whose name is the program's, has refused with `error`; without the program's name.
std::string describe_mistake(const CLI::App& app, const std::vector<std::string>& arguments, const CLI::ParseError& error);

// The one of `known` that `word` is a slip of the pen away from; "" if there is none.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace adyton::cli
