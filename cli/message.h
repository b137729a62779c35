// How `adyton` speaks to its user.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace adyton::cli {

// "adyton: MESSAGE" on stderr, as one line.
void say(std::string_view message);

// Says what is wrong and returns the exit code for it.
int failed(const Error& error);

// Writes to stdout; returns the exit code, 0 unless that fails.
int print(const std::string& text);

// Somebody else's words, a guest's say, fit for a terminal and for one line.
std::string one_line(std::string text);

}  // namespace adyton::cli
