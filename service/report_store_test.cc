#include "service/report_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

using observe::CrashKind;

class ReportStoreTest : public ::testing::Test {
 protected:
  // `age`: seconds.
  std::string keep(const std::string& folder, const std::string& vm, int age) {
    std::filesystem::create_directories(std::filesystem::path(folder).parent_path());
    const auto time = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000 - age));
    const auto path = observe::keep_crash_report(
        folder, 5, time,
        observe::crash_report({.kind = CrashKind::kPayload, .name = vm, .cause = "because of " + vm, .time = time}));
    return path ? *path : "";
  }
  std::string of_record(const std::string& name) { return ReportStore::folder_of_record(root.path("vm/" + name)); }

  TemporaryDirectory root;
  ReportStore store{root.path()};
};

TEST_F(ReportStoreTest, FindsThoseOfRecordsAndOfOthers) {
  EXPECT_TRUE(store.list(std::nullopt)->empty());
  const std::string oldest = keep(store.folder(), "one", 9);
  const std::string middle = keep(of_record("one"), "one", 5);
  const std::string newest = keep(of_record("z\xc3\xa9"), "z\xc3\xa9", 1);
  const auto all = store.list(std::nullopt);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ(all->at(0).path, newest);
  EXPECT_EQ(all->at(0).vm, "z\xc3\xa9");
  EXPECT_EQ(all->at(2).path, oldest);
  const auto one = store.list("one");
  ASSERT_EQ(one->size(), 2u);
  EXPECT_EQ(one->at(0).path, middle);
  EXPECT_EQ(one->at(0).cause, "because of one");
  EXPECT_EQ(store.list("z\xc3\xa9")->size(), 1u);
  EXPECT_TRUE(store.list("two")->empty());
  for (const char* name : {"..", "a/b", ""}) EXPECT_EQ(store.list(name).error().error.code, ErrorCode::kInvalidArgument) << name;
}

TEST_F(ReportStoreTest, OpensNothingElse) {
  const std::string path = keep(of_record("one"), "one", 0);
  const auto file = store.open(path);
  ASSERT_TRUE(file) << file.error().error.message;
  char first = 0;
  EXPECT_EQ(::read(file->get(), &first, 1), 1);
  EXPECT_EQ(first, 'C');
  std::ofstream(root.path("vm/one/config.json")) << "{}";
  for (const std::string& other :
       {root.path("vm/one/config.json"), root.path("vm/one/crash/../config.json"), std::string("/etc/passwd"), std::string()})
    EXPECT_EQ(store.open(other).error().error.code, ErrorCode::kNotFound) << other;
}

}  // namespace
}  // namespace adyton::service
