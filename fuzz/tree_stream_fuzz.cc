// A stream of files that the other end of `adyton cp` sends: whatever it says, it is made in a folder of its own.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/unique_fd.h"
#include "guest/tree/copy.h"
#include "guest/tree/tar.h"

namespace {

using namespace adyton;

// Where everything goes; beside it lies what must stay as it is.
struct Place {
  Place() {
    std::string name = (std::filesystem::temp_directory_path() / "adyton-fuzz.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root = name;
  }
  ~Place() { std::filesystem::remove_all(root); }
  std::filesystem::path root;
};

UniqueFd file_of(const uint8_t* data, size_t size) {
  UniqueFd file(::memfd_create("stream", MFD_CLOEXEC));
  if (::write(file.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

// Gives each block that could be a header the checksum that it needs, so that the reader looks at the rest of it.
std::string with_checksums(const uint8_t* data, size_t size) {
  std::string stream(reinterpret_cast<const char*>(data), size);
  for (size_t block = 0; block + 512 <= stream.size(); block += 512) {
    stream.replace(block + 148, 8, "        ");
    unsigned sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += static_cast<uint8_t>(stream[block + i]);
    for (size_t i = 7; i-- > 0; sum >>= 3) stream[block + 148 + i] = static_cast<char>('0' + (sum & 7));
  }
  return stream;
}

void receive(const UniqueFd& stream) {
  const Place place;
  const auto target = place.root / "to";
  [[maybe_unused]] const auto received = tree::receive_tree(stream.get(), {.path = target, .name = "name"});
  for (const auto& entry : std::filesystem::directory_iterator(place.root)) {
    if (entry.path() != target) std::abort();  // beside the target
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  receive(file_of(data + 1, size - 1));
  const std::string stream = with_checksums(data + 1, size - 1);
  receive(file_of(reinterpret_cast<const uint8_t*>(stream.data()), stream.size()));
  // A stream that is right up to here.
  const UniqueFd whole(::memfd_create("whole", MFD_CLOEXEC));
  tree::TarWriter writer(whole.get());
  const tree::Entry folder{.kind = tree::Entry::Kind::kFolder,
                           .name = ".",
                           .mode = 0755,
                           .mtime = 0,
                           .mtime_ns = 0,
                           .size = 0,
                           .link = {},
                           .data = {}};
  tree::Entry entry;
  entry.kind = static_cast<tree::Entry::Kind>(data[0] % 3);
  entry.name.assign(reinterpret_cast<const char*>(data), std::min<size_t>(size, 300));
  entry.link = entry.name.substr(entry.name.size() / 2);
  if (!writer.begin(folder) || !writer.begin(entry)) return 0;
  [[maybe_unused]] const ssize_t written = ::write(whole.get(), stream.data(), stream.size());
  ::lseek(whole.get(), 0, SEEK_SET);
  receive(whole);
  return 0;
}
