package com.example.all;

@Descriptor(value="com.example.old.ICallback")
@JavaDelegator @JavaDefault @SensitiveData
oneway interface ICallback {
  void first(int code) = 10;
  void second(in @utf8InCpp String text) = START + 2;
  void third() = 0;
  const int START = 5;
}
