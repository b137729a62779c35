package com.example.shop.v2;

import com.example.shop.v2.Item;

/** As it is: with more fields, and a further method. */
@Descriptor(value="com.example.shop.IShop")
interface IShop {
    Item improve(in Item item);
    int count();
}
