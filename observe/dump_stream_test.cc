#include "observe/dump_stream.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace adyton::observe {
namespace {

std::string piece(uint64_t offset, std::string_view bytes) {
  const DumpPiece head{.offset = offset, .length = bytes.size()};
  return std::string(reinterpret_cast<const char*>(&head), sizeof head).append(bytes);
}

struct Outcome {
  Result<uint64_t> size;
  std::string file;
};
Outcome receive(const std::string& stream) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd from(ends[0]), to(ends[1]);
  EXPECT_EQ(::send(to.get(), stream.data(), stream.size(), 0), static_cast<ssize_t>(stream.size()));
  to.reset();
  const UniqueFd file(::memfd_create("dump", MFD_CLOEXEC));
  Outcome outcome{receive_dump(from.get(), file.get()), {}};
  struct stat status {};
  EXPECT_EQ(::fstat(file.get(), &status), 0);
  outcome.file.resize(static_cast<size_t>(status.st_size));
  EXPECT_EQ(::pread(file.get(), outcome.file.data(), outcome.file.size(), 0), status.st_size);
  return outcome;
}

TEST(DumpStream, PiecesBecomeAFileWithHoles) {
  const Outcome done = receive(piece(0, "head") + piece(10, "x") + piece(11, "yz") + piece(16, ""));
  ASSERT_TRUE(done.size);
  EXPECT_EQ(*done.size, 16u);
  EXPECT_EQ(done.file, std::string("head\0\0\0\0\0\0xyz\0\0\0", 16));
}

TEST(DumpStream, OneThatEndsTooEarlyHasFailed) {
  for (const std::string& stream : {std::string(), piece(0, "head"), piece(0, "head").substr(0, 18), std::string("123")}) {
    const Outcome done = receive(stream);
    ASSERT_FALSE(done.size);
    EXPECT_EQ(done.size.error().code, ErrorCode::kUnavailable);
  }
}

TEST(DumpStream, NonsenseIsRefused) {
  const DumpPiece long_one{.offset = 0, .length = DumpPiece::kMaxPiece + 1};
  for (const std::string& stream :
       {piece(8, "later") + piece(4, "before"), piece(DumpPiece::kMaxFile + 1, ""), piece(8, "12345678") + piece(15, ""),
        std::string(reinterpret_cast<const char*>(&long_one), sizeof long_one)}) {
    const Outcome done = receive(stream);
    ASSERT_FALSE(done.size);
    EXPECT_EQ(done.size.error().code, ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace adyton::observe
