// AIDL's ParcelableHolder, a place for a parcelable that its user chooses, as the Android NDK names it.
#pragma once
#include <android/binder_auto_utils.h>
#include <android/binder_parcel.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace ndk {

// What a parcelable promises about its layout over time; a holder takes only those that promise as much as it does.
typedef int32_t parcelable_stability_t;
enum {
  STABILITY_LOCAL,
  STABILITY_VINTF,
};

// Holds one parcelable or none, in its written form: int32 stability, int32 size, and that many bytes: the parcelable's
// descriptor as a string, and what writeToParcel() writes. Not for two threads at a time.
class AParcelableHolder {
 public:
  AParcelableHolder() = delete;
  explicit AParcelableHolder(parcelable_stability_t stability) : parcel_(AParcel_create()), stability_(stability) {}
  AParcelableHolder(const AParcelableHolder& other) : AParcelableHolder(other.stability_) {
    static_cast<void>(AParcel_appendFrom(other.parcel_.get(), parcel_.get(), 0, AParcel_getDataSize(other.parcel_.get())));
  }
  AParcelableHolder(AParcelableHolder&& other) noexcept : AParcelableHolder(other.stability_) {
    std::swap(parcel_, other.parcel_);
  }
  AParcelableHolder& operator=(AParcelableHolder other) noexcept {
    std::swap(parcel_, other.parcel_);
    std::swap(stability_, other.stability_);
    return *this;
  }

  binder_status_t writeToParcel(AParcel* parcel) const {
    const int32_t size = AParcel_getDataSize(parcel_.get());
    if (const auto status = AParcel_writeInt32(parcel, stability_); status != STATUS_OK) return status;
    if (const auto status = AParcel_writeInt32(parcel, size); status != STATUS_OK) return status;
    return AParcel_appendFrom(parcel_.get(), parcel, 0, size);
  }
  binder_status_t readFromParcel(const AParcel* parcel) {
    reset();
    int32_t stability = 0;
    int32_t size = 0;
    if (const auto status = AParcel_readInt32(parcel, &stability); status != STATUS_OK) return status;
    if (stability != stability_) return STATUS_BAD_VALUE;
    if (const auto status = AParcel_readInt32(parcel, &size); status != STATUS_OK) return status;
    const int32_t start = AParcel_getDataPosition(parcel);
    if (size < 0 || size > AParcel_getDataSize(parcel) - start) return STATUS_BAD_VALUE;
    if (const auto status = AParcel_appendFrom(parcel, parcel_.get(), start, size); status != STATUS_OK) return status;
    return AParcel_setDataPosition(parcel, start + size);
  }

  template <typename T>
  binder_status_t setParcelable(const T& value) {
    if (stability_ > T::_aidl_stability) return STATUS_BAD_VALUE;
    reset();
    if (const auto status = AParcel_writeString(parcel_.get(), T::descriptor, static_cast<int32_t>(std::strlen(T::descriptor)));
        status != STATUS_OK) {
      return status;
    }
    return value.writeToParcel(parcel_.get());
  }

  // Nothing if nothing is held; STATUS_BAD_VALUE if it is something else.
  template <typename T>
  binder_status_t getParcelable(std::optional<T>* target) const {
    target->reset();
    if (AParcel_getDataSize(parcel_.get()) == 0) return STATUS_OK;
    if (const auto status = AParcel_setDataPosition(parcel_.get(), 0); status != STATUS_OK) return status;
    std::string descriptor;
    const auto allocate = [](void* text, int32_t length, char** buffer) {
      if (length < 1) return false;
      static_cast<std::string*>(text)->resize(static_cast<size_t>(length) - 1);
      *buffer = static_cast<std::string*>(text)->data();
      return true;
    };
    if (const auto status = AParcel_readString(parcel_.get(), &descriptor, allocate); status != STATUS_OK) return status;
    if (descriptor != T::descriptor) return STATUS_BAD_VALUE;
    const auto status = target->emplace().readFromParcel(parcel_.get());
    if (status != STATUS_OK) target->reset();
    return status;
  }

  void reset() { static_cast<void>(AParcel_reset(parcel_.get())); }
  [[nodiscard]] parcelable_stability_t getStability() const { return stability_; }

  // What is held cannot be compared without knowing its type: a holder is equal to itself.
  friend bool operator==(const AParcelableHolder& a, const AParcelableHolder& b) { return a.parcel_.get() == b.parcel_.get(); }
  friend bool operator!=(const AParcelableHolder& a, const AParcelableHolder& b) { return !(a == b); }
  friend bool operator<(const AParcelableHolder& a, const AParcelableHolder& b) { return a.parcel_.get() < b.parcel_.get(); }

  [[nodiscard]] std::string toString() const {
    return "(parcelable of " + std::to_string(AParcel_getDataSize(parcel_.get())) + " bytes)";
  }

 private:
  ScopedAParcel parcel_;
  parcelable_stability_t stability_;
};

}  // namespace ndk
