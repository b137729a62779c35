// A parcelable written by hand: a number of grams, as text on the wire.
#pragma once
#include <android/binder_parcel_utils.h>

#include <cstdlib>
#include <string>

namespace aidl::com::example::menu {

class Weight {
 public:
  Weight() = default;
  explicit Weight(int grams) : grams_(grams) {}
  int grams() const { return grams_; }

  binder_status_t writeToParcel(AParcel* parcel) const {
    return ::ndk::AParcel_writeString(parcel, std::to_string(grams_) + "g");
  }
  binder_status_t readFromParcel(const AParcel* parcel) {
    std::string text;
    const binder_status_t status = ::ndk::AParcel_readString(parcel, &text);
    if (status != STATUS_OK) return status;
    if (text.empty() || text.back() != 'g') return STATUS_BAD_VALUE;
    grams_ = std::atoi(text.c_str());
    return STATUS_OK;
  }

 private:
  int grams_ = 0;
};

}  // namespace aidl::com::example::menu
