package com.example;
interface INumbered {
  void a() = 5;
  int b(int x) = 3;
  oneway void c(in byte[] bytes) = 100;
}
