// How `adyton` speaks to its user.
#pragma once
#include <string>
#include <string_view>

namespace adyton::cli {

// "adyton: MESSAGE" on stderr, as one line.
void say(std::string_view message);

// Somebody else's words, a guest's say, fit for a terminal and for one line.
std::string one_line(std::string text);

}  // namespace adyton::cli
