// How `adyton` speaks to its user.
#pragma once
#include <string_view>

namespace adyton::cli {

// "adyton: MESSAGE" on stderr, as one line.
void say(std::string_view message);

}  // namespace adyton::cli
