#include "cli/prune.h"

#include <gtest/gtest.h>

namespace adyton::cli {
namespace {

TEST(Prune, ShowsFilesAndTheirSum) {
  const std::chrono::system_clock::time_point now{std::chrono::days(20'000)};
  EXPECT_EQ(describe_files({{.name = "tree-1.erofs", .bytes = 3 << 20, .used = now - std::chrono::days(10)},
                            {.name = "vmlinuz-6.1", .bytes = 1 << 20, .used = now - std::chrono::hours(3)},
                            {.name = "new", .bytes = 4096, .used = now},
                            {.name = "open", .bytes = 4096, .used = now - std::chrono::days(5), .in_use = true}},
                           now),
            "     3 MiB  10 days ago   tree-1.erofs\n"
            "     1 MiB  3 h ago       vmlinuz-6.1\n"
            "     4 KiB  just now      new\n"
            "     4 KiB  in use        open\n"
            "4 files, 4.0 MiB\n");
}

}  // namespace
}  // namespace adyton::cli
