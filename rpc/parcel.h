// The bytes of a call or a reply, with the objects and file descriptors that go along, in AOSP's RPC layout
// (libs/binder/Parcel.cpp with an RpcSession; reference: binderRpcWireProtocolTest.cpp's golden parcels). Little endian, each
// value on a 4-byte boundary.
//
// A parcel knows no session. Objects are written as places to fill in: the session assigns addresses when it sends. A received
// parcel asks its ObjectSource when an object is read.
//
// Reading is total: hostile bytes give a Status, never more memory than a small multiple of the bytes received, never a crash.
// Threading: one thread at a time; reading moves a cursor and is therefore not const where it matters (the cursor is mutable).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "rpc/binder.h"
#include "rpc/status.h"

namespace adyton::rpc {

inline constexpr int32_t kStabilityUndeclared = 0;
inline constexpr int32_t kStabilityVendor = 3;
inline constexpr int32_t kStabilitySystem = 12;
inline constexpr int32_t kStabilityVintf = 63;

// Turns the addresses of a received parcel into objects; the session is one.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  virtual Reply<std::shared_ptr<Binder>> binder_at(uint64_t wire_address) = 0;
};

class Parcel {
 public:
  Parcel() = default;
  Parcel(Parcel&& other) noexcept;  // leaves `other` empty
  Parcel& operator=(Parcel&& other) noexcept;
  // A received one. `positions` are byte offsets of objects in `bytes` as the wire carries them: none in protocol version 0,
  // those of descriptors in version 1, those of binders too from version 2 on; kBadValue if they are not ascending, aligned, in
  // range, or do not agree with what stands there. Binders that they name are fetched from `source` now, so that the session
  // counts them even if nobody reads them (as Parcel::rpcSetDataReference does); other binders when they are read.
  static Reply<Parcel> received(std::vector<uint8_t> bytes, std::vector<uint32_t> positions, std::vector<UniqueFd> fds,
                                std::shared_ptr<ObjectSource> source);

  // --- Writing. Fails only where said.
  void write_bool(bool value);      // as int32
  void write_byte(int8_t value);    // as int32
  void write_char(char16_t value);  // as int32
  void write_int32(int32_t value);
  void write_uint32(uint32_t value);
  void write_int64(int64_t value);
  void write_uint64(uint64_t value);
  void write_float(float value);
  void write_double(double value);
  // UTF-8 in, UTF-16 on the wire. kBadValue if it is not UTF-8; nothing is written then.
  Status write_string(std::string_view utf8);
  Status write_nullable_string(const std::optional<std::string>& utf8);  // none: length -1
  void write_string16(std::u16string_view text);
  void write_null_string() { write_int32(-1); }
  void write_binder(const std::shared_ptr<Binder>& binder);  // null allowed
  Status write_fd(int fd);                                   // duplicates; a raw file descriptor object
  Status write_parcel_fd(const UniqueFd& fd);                // ParcelFileDescriptor's inside: int32 0, then the descriptor
  void write_interface_token(std::string_view descriptor);
  // An exception header (Status.cpp: writeToParcel). A kTransactionFailed cannot be written: it is returned, for the stub to
  // return.
  Status write_status(const Status& status);
  void write_raw(std::span<const uint8_t> bytes);  // padded to 4 with zeros
  // Vectors: int32 count, then the elements. bool and char16_t are widened to int32 each, int8/uint8 are packed.
  void write_vector(std::span<const bool> values);
  void write_vector(std::span<const int8_t> values);
  void write_vector(std::span<const uint8_t> values);
  void write_vector(std::span<const char16_t> values);
  void write_vector(std::span<const int32_t> values);
  void write_vector(std::span<const int64_t> values);
  void write_vector(std::span<const uint64_t> values);
  void write_vector(std::span<const float> values);
  void write_vector(std::span<const double> values);
  void write_null_vector() { write_int32(-1); }
  // A part of another parcel, with the objects and descriptors that are known to stand in it; descriptors are duplicated.
  // kBadValue if there is no such part or it cuts an object, kBadType if a descriptor in it has been taken.
  Status append_from(const Parcel& from, size_t start, size_t size);
  // For lengths that are known only afterwards.
  [[nodiscard]] size_t write_position() const { return bytes_.size(); }
  void overwrite_int32(size_t position, int32_t value);

  // --- Reading, in the order written. kNotEnoughData past the end.
  Reply<bool> read_bool() const;
  Reply<int8_t> read_byte() const;
  Reply<char16_t> read_char() const;
  Reply<int32_t> read_int32() const;
  Reply<uint32_t> read_uint32() const;
  Reply<int64_t> read_int64() const;
  Reply<uint64_t> read_uint64() const;
  Reply<float> read_float() const;
  Reply<double> read_double() const;
  Reply<std::string> read_string() const;  // kUnexpectedNull for null; kBadValue for unpaired surrogates
  Reply<std::optional<std::string>> read_nullable_string() const;
  Reply<std::u16string> read_string16() const;         // kUnexpectedNull for null; any code units
  Reply<std::shared_ptr<Binder>> read_binder() const;  // kUnexpectedNull for null
  Reply<std::shared_ptr<Binder>> read_nullable_binder() const;
  Reply<UniqueFd> read_fd() const;  // takes it out: a second read of the same place is kBadType
  Reply<UniqueFd> read_parcel_fd() const;
  Status check_interface_token(std::string_view descriptor) const;  // kBadType unless it is this one
  Reply<Status> read_status() const;                                // the outer Status: the header itself could not be read
  Reply<std::span<const uint8_t>> read_raw(size_t size) const;      // and skips the padding; valid while the parcel is
  // A vector's count; none for a null one (-1). A count that the rest of the parcel cannot hold, at `minimum_element_size` bytes
  // an element, is kBadValue before anything is allocated.
  Reply<std::optional<uint32_t>> read_count(size_t minimum_element_size) const;
  template <typename T>
  Reply<std::vector<T>> read_vector() const;  // T: bool, int8_t, uint8_t, char16_t, int32_t, int64_t, uint64_t, float, double
  [[nodiscard]] size_t read_position() const { return cursor_; }
  Status set_read_position(size_t position) const;  // kBadValue past the end, or off a 4-byte boundary
  [[nodiscard]] size_t remaining() const { return bytes_.size() - cursor_; }
  // Lives while a structure is read, and counts how deep it stands in others, because hostile bytes must not use up the stack.
  class Nesting {
   public:
    explicit Nesting(const Parcel& parcel) : parcel_(parcel) { ++parcel_.depth_; }
    ~Nesting() { --parcel_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    [[nodiscard]] bool too_deep() const { return parcel_.depth_ > kMaxNesting; }

   private:
    const Parcel& parcel_;
  };
  static constexpr uint32_t kMaxNesting = 256;

  // --- For sessions.
  struct Object {
    uint32_t position;               // of its int32 type in bytes()
    std::shared_ptr<Binder> binder;  // null: a descriptor, fds()[index that stands at position + 4]
  };
  [[nodiscard]] std::span<const uint8_t> bytes() const { return bytes_; }
  [[nodiscard]] const std::vector<Object>& objects() const { return objects_; }  // ascending
  [[nodiscard]] const std::vector<UniqueFd>& fds() const { return fds_; }

 private:
  template <typename T>
  void append(T value);
  template <typename T>
  void append_vector(std::span<const T> values);
  template <typename T>
  Reply<T> take() const;
  Reply<std::optional<std::u16string_view>> take_string16() const;
  Status skip_blob(size_t size) const;
  std::vector<Object>::iterator object_at(size_t position) const;

  std::vector<uint8_t> bytes_;
  mutable std::vector<Object> objects_;  // ascending; of a received parcel those that are known so far
  mutable std::vector<UniqueFd> fds_;
  std::shared_ptr<ObjectSource> source_;
  mutable size_t cursor_ = 0;
  mutable uint32_t depth_ = 0;
};

}  // namespace adyton::rpc
