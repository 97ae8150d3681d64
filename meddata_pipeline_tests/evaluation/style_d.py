"""Author D: imaging and laboratory reports. For the figures only, as author C."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.style import People, Section, Style


class StyleD(Style):
    """Forms with labels, findings in set phrases, tables of values."""

    name = "D"
    people: ClassVar[People] = People(
        surnames="周杨李罗何唐曾谭蒋龙黄邓熊谢冉向秦田吴刘张王陈郑代廖贺毛文易胡刁白甘蒲苟苏敬袁彭瞿冷晏樊殷邬阎骆左植党舒简付鲜勾昝庹佘阳覃盘农韦蒙",
        given="永红世荣光荣大勇小平开菊显贵正芬德碧绍泽仕林昌容代琼兴国仁义礼智信维维倩倩婧祎昱翔铭锐睿涵伊诺忆南彦霏芷若冰洁盈盈定邦朝阳国庆建军爱民玉梅素华远明克俭",
        compound=("欧阳", "司徒", "公孙", "太史", "上官"),
        minority=("吉克阿木", "阿依莫洛", "热孜完·吾守尔", "泽仁拉姆", "多吉次仁", "依力哈木·塔西"),
        latin=(("Zhou", "Yonghong"), ("Yang", "Shirong"), ("Tan", "Dayong"), ("Ran", "Kaiju"), ("Xiang", "Xiangui")),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "part": (
            "胸部平扫",
            "上颌窦CBCT",
            "腹部增强",
            "颅脑MR平扫+DWI",
            "全景片",
            "甲状腺超声",
            "腰椎正侧位",
            "冠脉CTA",
        ),
        "image": (
            *(
                "双肺纹理清晰，未见明显实变影",
                "右肺下叶见一磨玻璃结节，长径约6mm",
                "肝右叶低密度灶，CT值约12HU",
                "L4/5椎间盘膨出",
            ),
            *(
                "36近中根尖见低密度影，约4.2×3.8mm",
                "双侧上颌窦黏膜增厚",
                "18、28、38、48阻生",
                "前降支中段钙化斑块，狭窄约50%",
            ),
            *("TI-RADS 3类", "脑白质高信号，Fazekas 1级", "双肾未见积水", "心影不大，主动脉弓钙化", "Kerley B线可见"),
        ),
        "result": (
            *(
                "白细胞计数 6.85 10^9/L 3.5-9.5",
                "血红蛋白 128 g/L 115-150",
                "丙氨酸氨基转移酶 41 U/L ↑ 9-40",
                "总胆固醇 5.21 mmol/L",
            ),
            *(
                "超敏C反应蛋白 3.6 mg/L 0-5",
                "降钙素原 <0.05 ng/mL",
                "乙肝表面抗原 阴性",
                "糖化血红蛋白 6.1 % 4.0-6.0",
                "白介素6 4.7 pg/mL",
            ),
            *(
                "抗SSA/Ro抗体 弱阳性",
                "尿酸 420 μmol/L 208-428",
                "EB病毒DNA <400 copies/mL",
                "库姆试验 阴性",
                "瑞氏染色 未见异常",
            ),
        ),
        "opinion": (
            "考虑炎性改变",
            "建议3月后复查",
            "未见明显骨质异常",
            "符合慢性根尖周炎表现",
            "建议结合临床",
            "较2022片相仿",
            "请随诊",
        ),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "sexes": ("男", "女"),
        "device_words": ("设备状态正常", "图像质量甲级"),
    }
    titles: ClassVar[tuple[str, ...]] = ("主任", "医师", "技师")
    courtesies: ClassVar[tuple[str, ...]] = ("先生", "女士")
    hospitals: ClassVar[tuple[str, ...]] = (
        "宜宾市第二人民医院",
        "遵义医科大学附属口腔医院",
        "重庆市黔江中心医院",
        "湘西州民族中医院",
        "百色市人民医院",
    )
    wards: ClassVar[tuple[str, ...]] = ("呼吸内科三病区", "神经外科八病区", "25病区", "肝胆外科一病区")
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "{hospital}检查报告单\n姓名：{patient} 性别：{sexes} 年龄：{age} 检查号：{exam_no}\n申请科室：{ward} 住院号：{record_no} 检查日期：{date}",
                "{hospital}检验报告\n姓名:{patient}  病历号:{record_no}  标本条码:{barcode}  送检医生:{doctor}  采集时间:{date_time}",
                "Patient Name: {pinyin}  Patient ID: {record_no}  Study Date: {packed}  检查部位：{part}",
                "影像号 {exam_no}  {patient}  {sexes}  {age}  {ward}  申请医师 {doctor2}",
            ),
        ),
        (
            0.35,
            (
                "联系电话：{mobile}",
                "身份证号：{resident_id}",
                "门诊号：{visit_no} 医保号：{insurance}",
                "出生日期：{birth}",
                "家庭住址：{address}",
                "护照号：{passport}",
            ),
        ),
        (
            1.0,
            (
                "检查方法：{part}。影像所见：{image}；{image}；{image}。",
                "所见：{image}，{image}，余未见异常。对比{past}片，{image}。",
                "{result}\n{result}\n{result}\n{result}",
                "{result}；{result}；{result}",
            ),
        ),
        (
            0.8,
            (
                "诊断意见：{opinion}，{opinion}。",
                "结论：{image}，{opinion}。{device_words}。",
                "备注：本报告仅对所检标本负责，{opinion}。",
            ),
        ),
        (
            0.3,
            (
                "危急值{date_time}已电话通知{doctor}，接听者{nurse}，回拨{landline}。",
                "曾于{past}在{other_hospital}检查，资料由{kin}提供。",
                "如有疑问请致电{landline}或{hotline}，图像见{url}。",
            ),
        ),
        (
            1.0,
            (
                "报告医师：{tech}  审核医师：{doctor}  报告时间：{date_time}",
                "检验者：{tech}  审核者：{nurse}  报告日期：{date}",
                "技师 {tech} / 诊断 {doctor} / {date}",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "检查方法：{part}。影像所见：{image}；{image}；{image}。",
                "所见：{image}，{image}；增强扫描强化均匀，周围脂肪间隙清晰。",
            ),
        ),
        (1.0, ("{result}\n{result}\n{result}\n{result}\n{result}", "{result}；{result}；{result}；{result}")),
        (1.0, ("诊断意见：{opinion}，{opinion}。请结合临床及其他检查。", "结论：{image}，{opinion}。{device_words}。")),
        (
            0.8,
            (
                "备注：本报告仅供临床医师参考，复印无效。单位及参考区间见说明书。高浓度样本已稀释。",
                "温馨提示：空腹采血，避免溶血，方法学不同结果可有差异。",
            ),
        ),
    )

    def address(self, rng: Random) -> str:
        place = rng.choice(
            ("四川省宜宾市翠屏区", "贵州省遵义市汇川区", "重庆市黔江区", "广西百色市右江区", "湖南省湘西州吉首市")
        )
        return f"{place}{rng.choice(('中山街', '上海路', '城东大道', '向阳路', '人民北路'))}{rng.randint(1, 200)}号{rng.randint(1, 20)}栋{rng.randint(1, 33)}-{rng.randint(1, 8)}"

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        return rng.choice((f"{y}-{m:02d}-{d:02d}", f"{y}/{m}/{d}", f"{y}年{m:02d}月{d:02d}日", f"{y}.{m:02d}.{d:02d}"))

    def landline(self, rng: Random, area: str, local: str) -> str:
        return rng.choice((f"{area}-{local}", f"({area}) {local}"))

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": values.digits(rng, 9),
            "visit_no": "M" + values.digits(rng, 11),
            "exam_no": rng.choice(("DX", "MR", "CT")) + values.digits(rng, 9),
            "path_no": values.digits(rng, 6),
        }[kind]
