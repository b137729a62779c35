#include "vmm/decompressor.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

namespace adyton::vmm {
namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr int kMaxZstdWindowLog = 27;  // 128 MiB: what `zstd -19` and the kernel's build use

// The compressed side: the source in chunks.
class Input {
 public:
  Input(const ByteSource& source, uint64_t offset, uint64_t length)
      : source_(source), offset_(offset), left_(length), buffer_(kChunk) {}

  // The next bytes; an empty span at the end.
  Result<std::span<uint8_t>> next() {
    size_t size = static_cast<size_t>(std::min<uint64_t>(left_, buffer_.size()));
    auto chunk = std::span(buffer_).first(size);
    TRY(source_.read(offset_, chunk));
    offset_ += size;
    left_ -= size;
    return chunk;
  }

 private:
  const ByteSource& source_;
  uint64_t offset_, left_;
  std::vector<uint8_t> buffer_;
};

class GzipDecompressor final : public Decompressor {
 public:
  GzipDecompressor(const ByteSource& source, uint64_t offset, uint64_t length) : input_(source, offset, length) {}
  ~GzipDecompressor() override {
    if (ready_) inflateEnd(&stream_);
  }
  Result<void> start() {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) return fail(ErrorCode::kExhausted, "no memory to decompress");
    ready_ = true;
    return {};
  }

  Result<size_t> read(std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size() && !ended_) {
      if (stream_.avail_in == 0) {
        auto chunk = TRY(input_.next());
        if (chunk.empty()) return fail(ErrorCode::kCorrupt, "the gzip stream is cut off");
        stream_.next_in = chunk.data();
        stream_.avail_in = static_cast<uInt>(chunk.size());
      }
      size_t room = std::min<size_t>(out.size() - done, 1u << 30);
      stream_.next_out = out.data() + done;
      stream_.avail_out = static_cast<uInt>(room);
      int status = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      if (status == Z_STREAM_END)
        ended_ = true;
      else if (status != Z_OK && status != Z_BUF_ERROR) {
        return fail(ErrorCode::kCorrupt, fmt::format("the gzip stream is damaged: {}", stream_.msg ? stream_.msg : "bad data"));
      }
    }
    return done;
  }

 private:
  Input input_;
  z_stream stream_{};
  bool ready_ = false, ended_ = false;
};

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor(const ByteSource& source, uint64_t offset, uint64_t length)
      : input_(source, offset, length), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {}
  Result<void> start() {
    if (!context_ || ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog))) {
      return fail(ErrorCode::kExhausted, "no memory to decompress");
    }
    return {};
  }

  Result<size_t> read(std::span<uint8_t> out) override {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos < to.size && !ended_) {
      size_t before = to.pos;
      bool last = false;
      if (from_.pos == from_.size) {
        auto chunk = TRY(input_.next());
        from_ = {chunk.data(), chunk.size(), 0};
        last = chunk.empty();
      }
      size_t status = ZSTD_decompressStream(context_.get(), &to, &from_);
      if (ZSTD_isError(status))
        return fail(ErrorCode::kCorrupt, fmt::format("the zstd stream is damaged: {}", ZSTD_getErrorName(status)));
      if (status == 0)
        ended_ = true;
      else if (last && to.pos == before)
        return fail(ErrorCode::kCorrupt, "the zstd stream is cut off");
    }
    return to.pos;
  }

 private:
  Input input_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  ZSTD_inBuffer from_{nullptr, 0, 0};
  bool ended_ = false;
};

class PlainReader final : public Decompressor {
 public:
  PlainReader(const ByteSource& source, uint64_t offset, uint64_t length) : source_(source), offset_(offset), left_(length) {}
  Result<size_t> read(std::span<uint8_t> out) override {
    out = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left_)));
    TRY(source_.read(offset_, out));
    offset_ += out.size();
    left_ -= out.size();
    return out.size();
  }

 private:
  const ByteSource& source_;
  uint64_t offset_, left_;
};

template <typename T>
Result<std::unique_ptr<Decompressor>> make(const ByteSource& source, uint64_t offset, uint64_t length) {
  auto decompressor = std::make_unique<T>(source, offset, length);
  TRY(decompressor->start());
  return decompressor;
}

}  // namespace

Result<std::unique_ptr<Decompressor>> Decompressor::gzip(const ByteSource& source, uint64_t offset, uint64_t length) {
  return make<GzipDecompressor>(source, offset, length);
}
Result<std::unique_ptr<Decompressor>> Decompressor::zstd(const ByteSource& source, uint64_t offset, uint64_t length) {
  return make<ZstdDecompressor>(source, offset, length);
}
std::unique_ptr<Decompressor> Decompressor::plain(const ByteSource& source, uint64_t offset, uint64_t length) {
  return std::make_unique<PlainReader>(source, offset, length);
}

}  // namespace adyton::vmm
