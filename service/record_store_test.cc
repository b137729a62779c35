#include "service/record_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

RecordConfig config(const std::string& text) {
  RecordConfig made;
  made.config = text;
  made.debug_level = 1;
  made.payload_binary_name = "hello";
  made.os = "debian";
  made.extra_payloads.emplace_back("a");
  made.extra_payloads.emplace_back("b");
  return made;
}
UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(::memfd_create("file", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return fd;
}
size_t entries(const std::string& path) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

class RecordStoreTest : public ::testing::Test {
 protected:
  TemporaryDirectory root;
  std::shared_ptr<RecordStore> store = *RecordStore::open(root.path("data"));
};

TEST_F(RecordStoreTest, KeepsRecords) {
  const auto made = store->create("one", config("{}"));
  ASSERT_TRUE(made);
  EXPECT_NE(made->instance_id, InstanceId{});
  ASSERT_TRUE(store->create("two", config("{\"x\": \"\\u00e4\"}")));
  EXPECT_THAT(*store->list(), ElementsAre("one", "two"));
  store = *RecordStore::open(root.path("data"));
  const auto found = *store->get("one");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->instance_id, made->instance_id);
  EXPECT_EQ(found->config, config("{}"));
  EXPECT_EQ(found->directory, root.path("data/vm/one"));
  EXPECT_NE((*store->get("two"))->instance_id, made->instance_id);
  EXPECT_FALSE(*store->get("three"));
}

TEST_F(RecordStoreTest, ANameIsTakenOnce) {
  ASSERT_TRUE(store->create("one", config("first")));
  const auto again = store->create("one", config("second"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().problem, Problem::kExists);
  EXPECT_EQ(store->get_or_create("one", config("third"))->config.config, "first");
  EXPECT_EQ(store->get_or_create("two", config("third"))->config.config, "third");
}

TEST_F(RecordStoreTest, NamesAreChecked) {
  for (const char* name : {"", ".", "..", "a/b", "a:b", "/", "../x", "a\nb", "a\x7f", "\xff"}) {
    EXPECT_EQ(store->create(name, config("")).error().error.code, ErrorCode::kInvalidArgument) << name;
    EXPECT_EQ(store->get(name).error().error.code, ErrorCode::kInvalidArgument) << name;
    EXPECT_EQ(store->remove(name).error().error.code, ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(store->create(std::string(256, 'x'), config("")));
  EXPECT_TRUE(store->create(std::string(255, 'x'), config("")));
  for (const char* name : {".hidden", "...", "über vm"}) EXPECT_TRUE(store->create(name, config(""))) << name;
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
}

TEST_F(RecordStoreTest, ConfigurationsAreBounded) {
  EXPECT_TRUE(store->create("big", config(std::string(kMaxConfig, '\x01'))));
  EXPECT_EQ((*store->get("big"))->config.config.size(), kMaxConfig);
  EXPECT_FALSE(store->create("bigger", config(std::string(kMaxConfig, 'x') + 'x')));
  EXPECT_FALSE(store->create("binary", config("\xff\xfe")));
}

TEST_F(RecordStoreTest, OnlyACompatibleConfigurationTakesTheOthersPlace) {
  ASSERT_TRUE(store->create("one", config("old")));
  const auto old = store->set_config("one", config("new"));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->config, "old");
  EXPECT_EQ((*store->get("one"))->config.config, "new");
  RecordConfig other = config("other");
  other.debug_level = 0;
  const auto refused = store->set_config("one", other);
  EXPECT_THAT(refused.error().error.message, HasSubstr("debug level"));
  other = config("other");
  other.extra_payloads.pop_back();
  EXPECT_FALSE(store->set_config("one", other));
  EXPECT_EQ((*store->get("one"))->config.config, "new");
  EXPECT_EQ(store->set_config("none", config("")).error().error.code, ErrorCode::kNotFound);
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
}

TEST_F(RecordStoreTest, DeletesTheWholeFolder) {
  const auto made = *store->create("one", config(""));
  std::ofstream(made.directory + "/storage.img") << "data";
  ASSERT_TRUE(store->remove("one"));
  EXPECT_FALSE(*store->get("one"));
  EXPECT_EQ(store->remove("one").error().error.code, ErrorCode::kNotFound);
  EXPECT_EQ(entries(root.path("data/vm")) + entries(root.path("data/vm.tmp")), 0u);
}

TEST_F(RecordStoreTest, ARecordInUseIsNotChanged) {
  ASSERT_TRUE(store->create("one", config("old")));
  {
    auto used = store->use("one");
    ASSERT_TRUE(used);
    EXPECT_TRUE((*store->get("one"))->in_use);
    EXPECT_EQ(store->use("one").error().problem, Problem::kInUse);
    EXPECT_EQ(store->remove("one").error().problem, Problem::kInUse);
    EXPECT_EQ(store->set_config("one", config("new")).error().problem, Problem::kInUse);
    EXPECT_EQ(store->export_files("one").error().problem, Problem::kInUse);
  }
  EXPECT_TRUE(store->set_config("one", config("new")));
  EXPECT_TRUE(store->remove("one"));
  EXPECT_EQ(store->use("one").error().error.code, ErrorCode::kNotFound);
}

TEST_F(RecordStoreTest, AnExportedRecordCanBeImported) {
  const auto made = *store->create("one", config("the config"));
  std::ofstream(made.directory + "/storage.img") << "data";
  fs::resize_file(made.directory + "/storage.img", 5 << 20);
  const auto files = store->export_files("one");
  ASSERT_TRUE(files);
  EXPECT_FALSE(files->instance_image.valid());
  const auto copy = store->import_files("two", *files);
  ASSERT_TRUE(copy) << copy.error().error.message;
  EXPECT_EQ(copy->instance_id, made.instance_id);
  EXPECT_EQ(copy->config, made.config);
  EXPECT_EQ(fs::file_size(copy->directory + "/storage.img"), 5u << 20);
  struct stat status {};
  ASSERT_EQ(::stat((copy->directory + "/storage.img").c_str(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);  // its hole is still one
  EXPECT_EQ(store->import_files("two", *files).error().problem, Problem::kExists);
}

TEST_F(RecordStoreTest, HostileDescriptorsAreRefused) {
  ASSERT_TRUE(store->create("one", config("")));
  const auto good = [&] {
    auto exported = store->export_files("one");
    return std::move(exported).value();
  };
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd keep(ends[1]);
  RecordFiles files = good();
  files.encrypted_storage.reset(ends[0]);  // would never end
  EXPECT_EQ(store->import_files("two", files).error().error.code, ErrorCode::kInvalidArgument);
  files = good();
  files.instance_id.reset();
  EXPECT_FALSE(store->import_files("two", files));
  files = good();
  files.instance_id = memory_file("short");
  EXPECT_EQ(store->import_files("two", files).error().error.code, ErrorCode::kCorrupt);
  for (const char* text : {"", "[]", "{}", "{\"version\": 2}", "nonsense", "{\"version\":1,\"config\":7}"}) {
    files = good();
    files.config = memory_file(text);
    EXPECT_EQ(store->import_files("two", files).error().error.code, ErrorCode::kCorrupt) << text;
  }
  files = good();
  files.config = memory_file(std::string(2 << 20, ' '));
  EXPECT_FALSE(store->import_files("two", files));
  EXPECT_EQ(entries(root.path("data/vm")), 1u);
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
}

TEST_F(RecordStoreTest, DamagedRecordsAreNamedAndCanBeDeleted) {
  const auto made = *store->create("one", config(""));
  std::ofstream(made.directory + "/config.json") << "{";
  EXPECT_EQ(store->get("one").error().error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(*store->list(), ElementsAre("one"));
  fs::remove(made.directory + "/config.json");
  fs::create_symlink("/etc/passwd", made.directory + "/config.json");
  EXPECT_FALSE(store->get("one"));
  EXPECT_TRUE(store->remove("one"));
}

TEST_F(RecordStoreTest, WhatWasHalfDoneIsRemovedAtTheStart) {
  fs::create_directories(root.path("data/vm.tmp/7-1"));
  std::ofstream(root.path("data/vm.tmp/7-1/config.json")) << "{";
  std::ofstream(root.path("data/vm.tmp/7-2")) << "{";
  ASSERT_TRUE(store->create("one", config("")));
  store = *RecordStore::open(root.path("data"));
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
  EXPECT_THAT(*store->list(), ElementsAre("one"));
}

// A process that creates, changes and deletes records is killed at random moments.
TEST_F(RecordStoreTest, AKillLeavesWholeRecordsOnly) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto own = RecordStore::open(root.path("data"));
      for (int i = 0; own; ++i) {
        const std::string name = std::to_string(i % 5);
        (void)(*own)->get_or_create(name, config("a"));
        (void)(*own)->set_config(name, config("b"));
        if (i % 3 == 0) (void)(*own)->remove(name);
      }
      ::_exit(1);
    }
    ::usleep(random() % 20000);  // the moment of the kill is what varies; nothing waits for it
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    auto after = *RecordStore::open(root.path("data"));
    EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
    const auto names = *after->list();
    for (const std::string& name : names) {
      const auto record = after->get(name);
      ASSERT_TRUE(record) << record.error().error.message;
      EXPECT_THAT((*record)->config.config, ::testing::AnyOf("a", "b"));
    }
  }
}

// On a file system of 256 KiB, in a mount namespace of its own.
TEST_F(RecordStoreTest, AFullDiskLeavesWholeRecordsOnly) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string small = root.path("small");
    if (::mkdir(small.c_str(), 0700) != 0) ::_exit(1);
    const auto put = [](const char* path, const std::string& text) {
      const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
      if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(77);
    };
    const std::string uid_map = "0 " + std::to_string(::geteuid()) + " 1";
    const std::string gid_map = "0 " + std::to_string(::getegid()) + " 1";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(77);
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", uid_map);
    put("/proc/self/gid_map", gid_map);
    if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=256k,nr_inodes=64,mode=0700") != 0) ::_exit(77);
    auto own = RecordStore::open(small + "/data");
    if (!own) ::_exit(2);
    size_t made = 0;
    bool full = false;
    for (int i = 0; i < 100 && !full; ++i) {
      const auto record = (*own)->create(std::to_string(i), config(std::string(20000, 'x')));
      full = !record;
      if (full && record.error().error.code != ErrorCode::kExhausted) ::_exit(3);
      if (!full) ++made;
    }
    if (!full || made == 0) ::_exit(4);
    const auto names = *(*own)->list();
    if (names.size() != made) ::_exit(5);
    for (const auto& name : names) {
      if (!(*own)->get(name)) ::_exit(6);
    }
    if (entries(small + "/data/vm.tmp") != 0) ::_exit(7);
    // A change that finds no room leaves the record as it was.
    if ((*own)->set_config("0", config(std::string(60000, 'y')))) ::_exit(8);
    if ((*(*own)->get("0"))->config.config != std::string(20000, 'x')) ::_exit(9);
    if (!(*own)->remove("0")) ::_exit(10);
    if (!(*own)->create("again", config("x"))) ::_exit(11);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

std::string text_of(const UniqueFd& fd) {
  std::string text(4096, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

TEST_F(RecordStoreTest, ALastRunIsKeptUntilTheNext) {
  EXPECT_FALSE(store->last_run("one"));
  ASSERT_TRUE(store->create("one", config("{}")));
  EXPECT_FALSE(store->last_run("one")->has_value());
  const LastRun crashed{.reason = 6, .message = "the guest crashed", .exit_code = -1, .app = true, .crash_report = "a.txt"};
  const LastRun ended{.reason = 3, .message = "the payload has ended", .exit_code = 42, .app = false, .crash_report = {}};
  auto lease = std::move(store->use("one")->first);
  for (const LastRun& run : {crashed, ended}) {
    lease.keep_last_run(run, run.message + " log");
    store = *RecordStore::open(root.path("data"));  // another service
    const auto last = store->last_run("one");
    ASSERT_TRUE(last && *last);
    EXPECT_EQ((*last)->first, run);
    EXPECT_EQ(text_of((*last)->second), run.message + " log");
  }
  lease.forget_last_run();
  EXPECT_FALSE(store->last_run("one")->has_value());
  lease.keep_last_run(ended, "");
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
  EXPECT_TRUE(store->remove("one"));
  EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u);
  RecordStore::Lease().keep_last_run(ended, "");  // of a VM without record: nothing
}

TEST_F(RecordStoreTest, ADamagedLastRunIsAnErrorOfItsOwn) {
  ASSERT_TRUE(store->create("one", config("{}")));
  for (const char* text :
       {"", "[]", "{\"version\": 1}", R"({"version": 1, "reason": 3, "message": "x", "app": true, "exit_code": 256})"}) {
    std::ofstream(root.path("data/vm/one/last_run.json")) << text;
    EXPECT_EQ(store->last_run("one").error().error.code, ErrorCode::kCorrupt) << text;
  }
  EXPECT_TRUE(store->get("one")->has_value());
  EXPECT_TRUE(store->remove("one"));
}

TEST_F(RecordStoreTest, WithoutDescriptorsNothingIsLeft) {
  ASSERT_TRUE(store->create("old", config("{}")));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlim_t free = static_cast<rlim_t>(memory_file("x").get());
  for (rlim_t more = 0; more < 3; ++more) {
    rlimit few = before;
    few.rlim_cur = free + more;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto made = store->create("new", config("{}"));
    const auto removed = store->remove(made ? "new" : "old");
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(entries(root.path("data/vm.tmp")), 0u) << more;
    EXPECT_EQ((*store->get("new")).has_value(), made && !removed) << more;
    const auto names = *store->list();
    if (names.empty()) { ASSERT_TRUE(store->create("old", config("{}"))); }
  }
}

}  // namespace
}  // namespace adyton::service
