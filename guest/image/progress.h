// Says what a long operation is doing, so that the CLI can show it.
#pragma once
#include <functional>
#include <string_view>

namespace adyton::image {

// Called with a short phrase ("downloading the guest kernel") when a step begins, on the thread that asked for the work. May be empty.
using Progress = std::function<void(std::string_view step)>;

inline void report(const Progress& progress, std::string_view step) {
  if (progress) progress(step);
}

}  // namespace adyton::image
